//! The draws of the population, from keys: the same key and purpose always give the same numbers.
//!
//! No library, since a new version of one may draw other numbers from the same seed: the generator is SplitMix64 of
//! `domain`, and the distributions are these few lines.

use domain::splitmix64::{self, mix};

/// What draws are about: each purpose has draws of its own, so that a new one changes no other. Where a purpose is
/// about several things, the thing's number is added.
pub(crate) mod purpose {
    pub(crate) const PERSON: u64 = 0;
    /// Where old documents say that the person lives.
    pub(crate) const FORMER_HOME: u64 = 1;
    pub(crate) const TOKEN: u64 = 2;
    /// What the metadata store lacks.
    pub(crate) const GAPS: u64 = 3;
    /// What identity could not check.
    pub(crate) const CHECKS: u64 = 4;
    /// When the person comes in, if nobody plans it.
    pub(crate) const BEGIN: u64 = 5;
    pub(crate) const PLAN: u64 = 6;
    pub(crate) const LAUNCHES: u64 = 1_000;
    /// Applications, by scheme.
    pub(crate) const STANDING: u64 = 2_000;
    /// The eligibility engine's doubts, by scheme.
    pub(crate) const DOUBT: u64 = 3_000;
    pub(crate) const EVENTS: u64 = 1 << 32;
    pub(crate) const EPISODES: u64 = 1 << 40;
}

/// Numbers that depend on a key alone.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each key and [`purpose`].
    pub(crate) const fn new(key: u64, purpose: u64) -> Self {
        Self(mix(key ^ mix(purpose.wrapping_add(1))))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        splitmix64::next(&mut self.0)
    }

    /// From 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number below `bound`, which is not 0. The bias of the multiplication is far below what a sample shows.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(low.abs_diff(high) + 1) as i64
    }

    /// One of some.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An index, as often as its weight is of the sum. The last one takes what rounding leaves.
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

    /// A number between `low` and `high`, as likely between 1 and 10 as between 10 and 100.
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
