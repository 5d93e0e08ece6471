//! The exact statistics of a group, before noise.

use super::AggregatePlan;

/// The exact statistics of a group. They must not leave the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAccumulator {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the clamped values of each measure; 0 for words.
    pub sums: Vec<u64>,
    /// The number of rows in each bin of each measure.
    pub bins: Vec<Vec<u64>>,
}

impl GroupAccumulator {
    /// Returns the statistics of no rows.
    #[must_use]
    pub fn new(plan: &AggregatePlan) -> Self {
        let bins = plan.measures.iter().map(|measure| vec![0; measure.bins()]).collect();
        Self { rows: 0, sums: vec![0; plan.measures.len()], bins }
    }
}
