//! The discrete Gaussian distribution.

use super::bernoulli::{Fraction, bernoulli_exp};
use super::{DiscreteLaplace, RandomBits};

/// The discrete Gaussian distribution: an integer z has a probability in proportion to e^(-z² / (2 variance)).
///
/// Noise of it with the variance sensitivity² / (2 rho) makes an integer rho-zero-concentrated differentially private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscreteGaussian {
    /// The variance is numerator / denominator.
    numerator: u64,
    denominator: u64,
    /// The standard deviation, rounded down, and 1.
    scale: u64,
    laplace: DiscreteLaplace,
}

/// Maximum denominator of a variance.
const MAX_DENOMINATOR: u64 = 1024;

/// The variance is out of the range that the sampler is exact in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the variance of the noise is from 1/1000 to 2^36, with a denominator of at most {MAX_DENOMINATOR}")]
pub struct GaussianRange;

impl DiscreteGaussian {
    /// Returns the distribution with the variance `numerator / denominator`.
    ///
    /// # Errors
    /// The variance is out of range: the products of the sampler would have no place in 128 bits.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, GaussianRange> {
        let is_in_range = (1..=MAX_DENOMINATOR).contains(&denominator)
            && numerator <= denominator << 36
            && numerator.saturating_mul(1_000) >= denominator;
        if !is_in_range {
            return Err(GaussianRange);
        }
        let scale = (numerator / denominator).isqrt() + 1;
        let laplace = DiscreteLaplace::new(scale, 1_000_000).ok_or(GaussianRange)?;
        Ok(Self { numerator, denominator, scale, laplace })
    }

    /// Returns the distribution for an integer that one person changes by at most `sensitivity`, under a rho in millionths. The
    /// variance is rounded up.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_rho(sensitivity: u32, micro_rho: u64) -> Result<Self, GaussianRange> {
        let numerator = u128::from(sensitivity).pow(2) * 1_000_000 * u128::from(MAX_DENOMINATOR);
        let variance = numerator.checked_div(2 * u128::from(micro_rho)).ok_or(GaussianRange)? + 1;
        Self::new(u64::try_from(variance).map_err(|_| GaussianRange)?, MAX_DENOMINATOR)
    }

    /// Returns a random integer of the distribution (algorithm 3 of Canonne, Kamath and Steinke): one of a discrete Laplace
    /// distribution is accepted with the quotient of the probabilities.
    pub fn sample(&self, random: &mut (impl RandomBits + ?Sized)) -> i128 {
        let (numerator, denominator) = (u128::from(self.numerator), u128::from(self.denominator));
        let scale = u128::from(self.scale);
        loop {
            let sample = self.laplace.sample(random);
            // Products overflow beyond 2^17 standard deviations only, where the acceptance is e^-(2^33).
            // Accepted with e^-((|sample| - variance / scale)² / (2 variance)), here over a common denominator.
            let Some(distance) = sample.unsigned_abs().checked_mul(denominator * scale) else { continue };
            let Some(square) = distance.abs_diff(numerator).checked_pow(2) else { continue };
            let x = Fraction { numerator: square, denominator: 2 * numerator * denominator * scale * scale };
            if bernoulli_exp(x, random) {
                return sample;
            }
        }
    }
}

/// 40 ln 2, rounded up, in millionths.
const LOG_OF_DELTA: u128 = 27_725_888;

/// Returns the greatest rho, in millionths and rounded down, for which rho-zero-concentrated differential privacy implies
/// (epsilon, 2^-40)-differential privacy: epsilon = rho + 2 √(rho ln(2^40)) (Bun and Steinke, TCC 2016).
#[must_use]
pub fn rho_for_epsilon(micro_epsilon: u32) -> u64 {
    // rho = (√(L + epsilon) - √L)², computed in 10^-18 under the roots and with the difference rounded down.
    let scaled = |micro: u128| micro * 1_000_000_000_000;
    let upper = scaled(LOG_OF_DELTA + u128::from(micro_epsilon)).isqrt();
    let lower = scaled(LOG_OF_DELTA).isqrt() + 1;
    let difference = upper.saturating_sub(lower);
    (difference * difference / 1_000_000_000_000) as u64
}
