//! Samples against the distributions. Floating-point numbers are used here only, to compute what is expected.

use super::bernoulli::{Fraction, bernoulli_exp};
use super::*;
use crate::export::testing::Random;

const SAMPLES: usize = 60_000;

/// Returns Pearson's statistic of the samples against weights of the integers from `-bound` to `bound`; what lies beyond is
/// counted with the outermost ones. Weights need not sum to one.
fn chi_square(samples: &[i128], bound: i128, weight: impl Fn(i128) -> f64) -> (f64, usize) {
    let total: f64 = (-4_000..=4_000).map(&weight).sum();
    let mut expected: Vec<f64> = (-bound..=bound).map(|z| weight(z) / total).collect();
    let tail: f64 = (bound + 1..=4_000).map(&weight).sum::<f64>() / total;
    let last = expected.len() - 1;
    expected[0] += tail;
    expected[last] += tail;
    let mut observed = vec![0.0; expected.len()];
    for sample in samples {
        observed[(sample.clamp(&-bound, &bound) + bound) as usize] += 1.0;
    }
    let n = samples.len() as f64;
    let statistic = observed.iter().zip(&expected).map(|(o, p)| (o - n * p).powi(2) / (n * p)).sum();
    (statistic, expected.len() - 1)
}

/// A statistic of chi-square with `freedom` degrees of freedom is above this with a probability below one in a million: its
/// mean and five of its standard deviations, and a margin for its skewness.
fn bound(freedom: usize) -> f64 {
    let freedom = freedom as f64;
    freedom + 5.0 * (2.0 * freedom).sqrt() + 20.0
}

#[test]
fn the_coin_of_an_exponential_has_its_probability() {
    for (numerator, denominator) in [(0, 1), (1, 3), (1, 1), (7, 5), (3, 1)] {
        let mut random = Random(41);
        let x = Fraction { numerator, denominator };
        let hits = (0..SAMPLES).filter(|_| bernoulli_exp(x, &mut random)).count() as f64;
        let p = (-(numerator as f64) / denominator as f64).exp();
        let deviation = (SAMPLES as f64 * p * (1.0 - p)).sqrt();
        assert!((hits - SAMPLES as f64 * p).abs() <= 5.0 * deviation, "{numerator}/{denominator}: {hits}");
    }
}

#[test]
fn laplace_noise_has_its_distribution() {
    for (sensitivity, micro_epsilon, range) in
        [(1, 1_000_000, 7), (1, 100_000, 40), (3, 2_000_000, 9), (1, 3_000_000, 2)]
    {
        let laplace = DiscreteLaplace::new(sensitivity, micro_epsilon).expect("in range");
        let mut random = Random(42);
        let samples: Vec<_> = (0..SAMPLES).map(|_| laplace.sample(&mut random)).collect();
        let scale = sensitivity as f64 * 1e6 / micro_epsilon as f64;
        let (statistic, freedom) = chi_square(&samples, range, |z| (-(z.unsigned_abs() as f64) / scale).exp());
        assert!(statistic < bound(freedom), "scale {scale}: {statistic}");
        // The test can fail: another scale gives another distribution.
        let other = |z: i128| (-(z.unsigned_abs() as f64) / (scale * 1.1)).exp();
        assert!(chi_square(&samples, range, other).0 > bound(freedom), "scale {scale}");
    }
}

#[test]
fn gaussian_noise_has_its_distribution() {
    for (numerator, denominator, range) in [(1, 1, 3), (9, 2, 7), (100, 1, 30), (1, 4, 1)] {
        let gaussian = DiscreteGaussian::new(numerator, denominator).expect("in range");
        let mut random = Random(43);
        let samples: Vec<_> = (0..SAMPLES).map(|_| gaussian.sample(&mut random)).collect();
        let variance = numerator as f64 / denominator as f64;
        let weight = |variance: f64| move |z: i128| (-(z as f64).powi(2) / (2.0 * variance)).exp();
        let (statistic, freedom) = chi_square(&samples, range, weight(variance));
        assert!(statistic < bound(freedom), "variance {variance}: {statistic}");
        assert!(chi_square(&samples, range, weight(variance * 1.15)).0 > bound(freedom), "variance {variance}");
    }
}

#[test]
fn the_probability_of_a_neighbour_is_within_the_factor_of_epsilon() {
    // Exact, not sampled: P(z) / P(z - sensitivity) is e^(±epsilon), as the scale is sensitivity / epsilon.
    for (sensitivity, micro_epsilon) in [(1_u64, 10_000_u64), (7, 500_000), (1_000_000, 2_000_000)] {
        let (numerator, denominator) = DiscreteLaplace::new(sensitivity, micro_epsilon).expect("in range").scale();
        let (left, right) = (u128::from(numerator) * u128::from(micro_epsilon), u128::from(denominator));
        assert_eq!(left, u128::from(sensitivity) * 1_000_000 * right);
    }
}

#[test]
fn rho_is_the_greatest_that_the_epsilon_allows() {
    for micro_epsilon in [10_000, 100_000, 1_000_000, 2_000_000] {
        let (epsilon, log) = (f64::from(micro_epsilon) / 1e6, 40.0 * 2_f64.ln());
        let used = |rho: f64| rho + 2.0 * (rho * log).sqrt();
        let micro_rho = rho_for_epsilon(micro_epsilon) as f64;
        assert!(used(micro_rho / 1e6) <= epsilon, "{micro_epsilon}");
        assert!(used((micro_rho + 2.0) / 1e6) > epsilon, "{micro_epsilon}");
    }
}

#[test]
fn what_the_samplers_are_not_exact_for_is_refused() {
    assert!(DiscreteLaplace::new(0, 1).is_none() && DiscreteLaplace::new(1, 0).is_none());
    assert!(DiscreteLaplace::new(u64::MAX / 1_000, 1).is_none());
    let refused = [(1, 0), (1, 1_001), ((1 << 36) + 1, 1), (1_025, 1_025)];
    assert_eq!(DiscreteGaussian::for_rho(2, 500_000), DiscreteGaussian::new(4 * 1_024 + 1, 1_024));
    assert_eq!(DiscreteGaussian::for_rho(1, 0), Err(GaussianRange));
    assert!(refused.iter().all(|(n, d)| DiscreteGaussian::new(*n, *d) == Err(GaussianRange)));
}
