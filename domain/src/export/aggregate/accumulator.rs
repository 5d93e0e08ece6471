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

    /// Adds a row, with a value or nothing for each measure.
    pub fn add(&mut self, plan: &AggregatePlan, values: &[Option<u64>]) {
        self.rows += 1;
        for (index, (measure, value)) in plan.measures.iter().zip(values).enumerate() {
            let Some(value) = value else { continue };
            let (clamped, bin) = measure.place(*value);
            self.sums[index] += clamped;
            if let Some(rows) = self.bins[index].get_mut(bin) {
                *rows += 1;
            }
        }
    }

    /// Adds the statistics of other rows of the same group, in the same plan.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sums.iter_mut().zip(&other.sums).for_each(|(own, other)| *own += other);
        for (own, other) in self.bins.iter_mut().zip(&other.bins) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
    }
}
