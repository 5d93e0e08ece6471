//! The discrete Laplace distribution.

use super::RandomBits;
use super::bernoulli::{Fraction, bernoulli_exp};
use super::random::below;

/// The discrete Laplace distribution: an integer z has a probability in proportion to e^(-|z| / scale).
///
/// Noise of it with the scale sensitivity / epsilon makes an integer epsilon-differentially private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscreteLaplace {
    /// The scale is numerator / denominator.
    numerator: u64,
    denominator: u64,
}

impl DiscreteLaplace {
    /// Returns the distribution for an integer that one person changes by at most `sensitivity`, under an epsilon in millionths;
    /// `None` if either is 0 or the scale has no place in 64 bits.
    #[must_use]
    pub fn new(sensitivity: u64, micro_epsilon: u64) -> Option<Self> {
        let numerator = sensitivity.checked_mul(1_000_000)?;
        let divisor = gcd(numerator, micro_epsilon);
        (sensitivity > 0 && micro_epsilon > 0)
            .then(|| Self { numerator: numerator / divisor, denominator: micro_epsilon / divisor })
    }

    /// Returns a random integer of the distribution (algorithm 2 of Canonne, Kamath and Steinke).
    pub fn sample(&self, random: &mut (impl RandomBits + ?Sized)) -> i128 {
        let (numerator, one) = (u128::from(self.numerator), Fraction { numerator: 1, denominator: 1 });
        loop {
            let first = below(numerator, random);
            if !bernoulli_exp(Fraction { numerator: first, denominator: numerator }, random) {
                continue;
            }
            let mut whole = 0;
            while bernoulli_exp(one, random) {
                whole += 1;
            }
            let magnitude = ((first + numerator * whole) / u128::from(self.denominator)) as i128;
            match random.next_u64() & 1 == 1 {
                // Zero would have twice its probability.
                true if magnitude == 0 => {}
                true => return -magnitude,
                false => return magnitude,
            }
        }
    }

    /// Returns the scale as a fraction.
    #[must_use]
    pub const fn scale(&self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
