//! Random numbers, which come from outside: this crate has none of its own.

/// A source of uniform random bits. For noise that protects persons it must be a cryptographic one.
pub trait RandomBits {
    /// Returns 64 uniform random bits.
    fn next_u64(&mut self) -> u64;
}

impl<F: FnMut() -> u64> RandomBits for F {
    fn next_u64(&mut self) -> u64 {
        self()
    }
}

/// Returns a uniform number from 0 to `bound - 1`. `bound` is at least 1.
pub(super) fn below(bound: u128, random: &mut (impl RandomBits + ?Sized)) -> u128 {
    let bits = u128::BITS - (bound - 1).leading_zeros();
    loop {
        let mut number = u128::from(random.next_u64());
        if bits > 64 {
            number = number << 64 | u128::from(random.next_u64());
        }
        // The least power of two that is not below the bound: at least half of the numbers are accepted.
        number &= if bits == u128::BITS { u128::MAX } else { (1 << bits) - 1 };
        if number < bound {
            return number;
        }
    }
}
