//! The draws of the population, from keys: the same key and purpose always give the same numbers.
//!
//! No library, since a new version of one may draw other numbers from the same seed: the generator is SplitMix64 of
//! `domain`, and the distributions are these few lines.

use domain::splitmix64::{self, mix};

/// The purpose of draws. Each purpose has its own sequence, so that a new one changes no other. For a purpose with
/// several subjects, such as schemes, the subject's number is added.
pub(crate) mod purpose {
    pub(crate) const PERSON: u64 = 0;
    /// The district of old documents.
    pub(crate) const FORMER_HOME: u64 = 1;
    pub(crate) const TOKEN: u64 = 2;
    /// The fields that the metadata store does not know.
    pub(crate) const GAPS: u64 = 3;
    /// The fields that identity could not check.
    pub(crate) const CHECKS: u64 = 4;
    /// The time of the first event, outside of traffic.
    pub(crate) const BEGIN: u64 = 5;
    pub(crate) const PLAN: u64 = 6;
    pub(crate) const LAUNCHES: u64 = 1_000;
    /// The status of applications, by scheme.
    pub(crate) const STANDING: u64 = 2_000;
    /// The eligibility engine's doubts, by scheme.
    pub(crate) const DOUBT: u64 = 3_000;
    pub(crate) const EVENTS: u64 = 1 << 32;
    pub(crate) const EPISODES: u64 = 1 << 40;
}

/// A generator whose numbers depend on a key and a purpose alone.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Creates the generator of a key and a [`purpose`].
    pub(crate) const fn new(key: u64, purpose: u64) -> Self {
        Self(mix(key ^ mix(purpose.wrapping_add(1))))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        splitmix64::next(&mut self.0)
    }

    /// Returns a number from 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns true with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Returns a number below `bound`, which must not be 0. The bias of the multiplication is far below what a sample
    /// shows.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(low.abs_diff(high) + 1) as i64
    }

    /// Returns one of the items, each as likely as the others.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Returns an index with the probability of its weight in the sum. A rounding error goes to the last one.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        weights
            .iter()
            .position(|weight| {
                rest -= weight;
                rest < 0.0
            })
            .unwrap_or(weights.len() - 1)
    }

    /// Returns a number between `low` and `high`, distributed evenly on a logarithmic scale.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept() {
        let mut random = Random::new(1, 2);
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[random.weighted(&[1.0, 0.0, 2.0])] += 1;
        }
        assert!(counts[0].abs_diff(10_000) < 400 && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn ranges_include_both_ends() {
        let mut random = Random::new(3, 4);
        let drawn: std::collections::BTreeSet<i64> = (0..100).map(|_| random.range(-1, 1)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [-1, 0, 1]);
        assert!((0..1_000).map(|_| random.log_between(2.0, 50.0)).all(|number| (2.0..50.0).contains(&number)));
    }
}
