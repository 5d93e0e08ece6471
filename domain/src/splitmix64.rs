//! SplitMix64: a generator of 64-bit numbers from a seed (Steele, Lea and Flood, 2014). Not for secrets.
//!
//! This is not a library's generator, because its numbers are data: the people of a population, the order in a test and
//! the ETag of a view depend on them, so they must never change with the version of a library.

/// The generator's step: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maps each number to another one (a bijection), so that no pattern of the input is visible in the output.
#[inline]
pub const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Moves `state` on and returns the next number. The first state is the seed.
#[inline]
pub const fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(STEP);
    mix(*state)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_gives_the_published_numbers() {
        let mut state = 1_234_567;
        let numbers = [super::next(&mut state), super::next(&mut state)];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
