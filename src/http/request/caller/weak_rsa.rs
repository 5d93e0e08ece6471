//! RSA keys whose signatures can be forged.

/// Minimum length of a modulus, in bits (RFC 7518, section 3.3).
const MIN_BITS: usize = 2_048;
/// The primes by which a key of a faulty generator is told from others (Nemec et al., "The Return of Coppersmith's Attack",
/// CVE-2017-15361).
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
/// The base of the powers that the moduli of such keys are.
const GENERATOR: u32 = 65_537;

/// Returns why a public key must not verify signatures; `None` if nothing is known against it. The numbers are big-endian.
pub(super) fn weakness(modulus: &[u8], exponent: &[u8]) -> Option<&'static str> {
    if bits(modulus) < MIN_BITS {
        return Some("its modulus has fewer than 2,048 bits");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    if bits(exponent) < 2 || !is_odd(exponent) || !is_odd(modulus) {
        return Some("its exponent or modulus is not that of RSA");
    }
    let is_faulty = PRIMES.iter().all(|prime| is_power(remainder(modulus, *prime), *prime));
    is_faulty.then_some("it comes from a generator whose keys can be factored (CVE-2017-15361)")
}

/// Returns the number of bits without leading zeros.
fn bits(number: &[u8]) -> usize {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let zeros = number.get(start).map_or(0, |byte| byte.leading_zeros() as usize);
    8 * (number.len() - start) - zeros
}

fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % divisor)
}

/// Returns whether a number is a power of [`GENERATOR`] modulo a prime.
fn is_power(number: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * (GENERATOR % prime) % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a number of so many bytes.
    fn number(length: usize, last: u8) -> Vec<u8> {
        let mut bytes = vec![0x5a; length];
        (bytes[0], bytes[length - 1]) = (0x80, last);
        bytes
    }

    #[test]
    fn short_keys_and_numbers_that_are_not_of_rsa_are_weak() {
        let good = number(256, 3);
        assert_eq!(weakness(&good, &[1, 0, 1]), None);
        assert_eq!(weakness(&[&[0], &good[..]].concat(), &[0, 1, 0, 1]), None, "leading zeros change nothing");
        assert!(weakness(&good[..255], &[1, 0, 1]).is_some());
        let mut shorter = good.clone();
        shorter[0] = 0x7f;
        assert!(weakness(&shorter, &[1, 0, 1]).is_some(), "2,047 bits");
        for exponent in [&[][..], &[0], &[1], &[2], &[0, 1], &[1, 0, 0]] {
            assert!(weakness(&good, exponent).is_some(), "{exponent:?}");
        }
        assert!(weakness(&number(256, 2), &[3]).is_some(), "an even modulus");
    }

    #[test]
    fn remainders_are_those_of_the_number() {
        let number = 0x0123_4567_89ab_cdef_u64;
        for prime in PRIMES {
            assert_eq!(u64::from(remainder(&number.to_be_bytes(), prime)), number % u64::from(prime));
        }
        assert!(is_power(1, 167) && is_power(GENERATOR % 11, 11) && !is_power(0, 11));
    }
}
