//! How an aggregate job divides its epsilon, and which groups it has.

use super::Measure;
use crate::export::{Lattice, Node};

/// Maximum number of groups of a job, with those that have no rows.
pub const MAX_GROUPS: u64 = 100_000;

/// Why an aggregate job is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AggregateRefusal {
    /// There are too many groups.
    #[error("the columns give {0} groups, and a job has at most {MAX_GROUPS}: ask for fewer or coarser columns")]
    TooManyGroups(u64),
    /// A statistic would have an epsilon of nothing.
    #[error("epsilon is too small to be divided among {0} statistics")]
    EpsilonTooSmall(u64),
}

/// The statistics of a job and their epsilon.
#[derive(Debug, Clone)]
pub struct AggregatePlan {
    /// What is measured.
    pub measures: Vec<Measure>,
    /// The epsilon of each statistic, in millionths.
    pub micro_epsilon_each: u64,
    /// The least noisy count of a group that is released.
    pub k: u32,
    /// The number of groups.
    pub groups: u64,
}

impl AggregatePlan {
    /// Plans a job whose groups are those of the finest node of a lattice.
    ///
    /// # Errors
    /// There are too many groups, or too many statistics for the epsilon.
    pub fn new(
        lattice: &Lattice,
        measures: Vec<Measure>,
        micro_epsilon: u64,
        k: u32,
    ) -> Result<Self, AggregateRefusal> {
        let groups = group_counts(lattice).iter().fold(1, |product: u64, count| product.saturating_mul(*count));
        if groups > MAX_GROUPS {
            return Err(AggregateRefusal::TooManyGroups(groups));
        }
        let statistics = 1 + measures.iter().map(Measure::statistics).sum::<u64>();
        let micro_epsilon_each = micro_epsilon / statistics;
        if micro_epsilon_each == 0 {
            return Err(AggregateRefusal::EpsilonTooSmall(statistics));
        }
        Ok(Self { measures, micro_epsilon_each, k, groups })
    }

    /// Returns the keys of all groups, ascending: a job releases each of them, with or without rows.
    #[must_use]
    pub fn group_keys(&self, lattice: &Lattice) -> Vec<u64> {
        let mut groups: Vec<Vec<u16>> = vec![Vec::new()];
        for count in group_counts(lattice) {
            let with = |group: &Vec<u16>, last: u16| group.iter().copied().chain([last]).collect();
            groups = groups.iter().flat_map(|group| (0..count as u16).map(move |last| with(group, last))).collect();
        }
        groups.iter().map(|group| lattice.key(group)).collect()
    }
}

fn group_counts(lattice: &Lattice) -> Vec<u64> {
    let node: Node = lattice.finest();
    (0..lattice.columns().len()).map(|column| lattice.level(&node, column).labels.len() as u64).collect()
}
