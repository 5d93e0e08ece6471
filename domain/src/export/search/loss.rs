//! Information loss in fixed point.

use crate::export::{ClassTable, Lattice, Node, PENALTY_UNIT};

/// How much information an export loses, from nothing to everything.
///
/// It is the global certainty penalty (Ghinita, Karras, Kalnis and Mamoulis, "Fast data anonymization with low information
/// loss", VLDB 2007): the sum of the normalised certainty penalties of all values, divided by the number of values. A row
/// that is left out has the full penalty for each of its values. Integers only, so that the result is the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct InformationLoss {
    /// The sum of the penalties, in units of [`PENALTY_UNIT`].
    units: u64,
    /// The number of values.
    values: u64,
}

impl InformationLoss {
    pub(super) const fn new(units: u64, rows: u64, columns: usize) -> Self {
        Self { units, values: rows * columns as u64 }
    }

    /// Returns the loss of an export at a node, from the keys at that node of the rows that are written and the number of rows
    /// that are left out.
    #[must_use]
    pub fn from_rows(lattice: &Lattice, node: &Node, written: impl Iterator<Item = u64>, left_out: u64) -> Self {
        let (columns, penalties) = (lattice.columns().len(), lattice.penalties(node));
        let mut loss = Self::new(left_out * columns as u64 * u64::from(PENALTY_UNIT), left_out, columns);
        for key in written {
            loss.units += penalties.sum(key);
            loss.values += columns as u64;
        }
        loss
    }

    /// Returns the sum of the penalties of all values, in units of [`PENALTY_UNIT`].
    #[must_use]
    pub const fn units(&self) -> u64 {
        self.units
    }

    /// Returns the loss in parts per million, rounded down; 0 where there are no values.
    #[must_use]
    pub const fn parts_per_million(&self) -> u64 {
        // A unit is a millionth.
        const { assert!(PENALTY_UNIT == 1_000_000) };
        match self.units.checked_div(self.values) {
            Some(millionths) => millionths,
            None => 0,
        }
    }
}

/// Returns what each level of each column loses over all rows by generalisation alone, in units of [`PENALTY_UNIT`], from the
/// classes at the finest node. Entries below the finest level of a column are 0.
#[must_use]
pub fn column_losses(lattice: &Lattice, finest: &ClassTable) -> Vec<Vec<u64>> {
    let node = lattice.finest();
    let losses = lattice.columns().iter().enumerate().map(|(number, column)| {
        let mut rows = vec![0_u64; lattice.level(&node, number).labels.len()];
        for (key, size) in finest.keys.iter().zip(&finest.sizes) {
            rows[usize::from(lattice.group(*key, number))] += u64::from(*size);
        }
        let loss = |(number, level): (usize, &crate::export::CodeLevel)| {
            if number < column.finest {
                return 0;
            }
            let groups = column.levels.translation(column.finest, number);
            let penalty = |group: &u16| u64::from(level.penalties[usize::from(*group)]);
            groups.iter().map(penalty).zip(&rows).map(|(penalty, rows)| penalty * rows).sum()
        };
        column.levels.levels().iter().enumerate().map(loss).collect()
    });
    losses.collect()
}
