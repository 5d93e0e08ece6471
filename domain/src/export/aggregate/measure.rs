//! What is measured of the rows of a group.

use crate::export::{ColumnRole, ColumnType, ExportColumn};

/// A column whose values are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// The column.
    pub column: ExportColumn,
    /// How its values are aggregated.
    pub kind: MeasureKind,
}

/// How values are aggregated. Bounds and bins are fixed and public, and do not depend on the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureKind {
    /// Integers: sum, mean, histogram and quantiles.
    Integer {
        /// What a greater value is lowered to, so that a person changes the sum by at most this much.
        clamp: u64,
        /// The first value of each bin of the histogram, ascending from 0.
        bins: &'static [u64],
    },
    /// Codes of a dictionary with so many entries: a histogram.
    Word {
        /// The number of entries.
        values: u32,
    },
}

const PERCENT: MeasureKind = MeasureKind::Integer { clamp: 100, bins: &[0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100] };
const SCHEMES: MeasureKind = MeasureKind::Integer { clamp: 64, bins: &[0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48] };
const DEADLINES: MeasureKind = MeasureKind::Integer { clamp: 32, bins: &[0, 1, 2, 3, 4, 6, 8, 12, 16, 24] };
const RUPEES: MeasureKind = MeasureKind::Integer {
    clamp: 1_000_000,
    bins: &[0, 1, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 500_000, 1_000_000],
};

impl Measure {
    /// Returns how a column is aggregated; `None` for one that cannot be. `values` is the number of entries of the column's
    /// dictionary, which counts for words only.
    #[must_use]
    pub fn for_column(column: ExportColumn, role: ColumnRole, values: u32) -> Option<Self> {
        let kind = match (role, column.column_type()) {
            (ColumnRole::Key | ColumnRole::QuasiIdentifier(_), _) => return None,
            (_, ColumnType::Word) => MeasureKind::Word { values },
            (_, ColumnType::Pseudonym | ColumnType::Words) => return None,
            (_, ColumnType::Integer) => match column {
                ExportColumn::ProfileCompletenessPct => PERCENT,
                ExportColumn::PotentialAnnualBenefitInr => RUPEES,
                ExportColumn::DeadlinesCompletedLast90d => DEADLINES,
                _ => SCHEMES,
            },
        };
        Some(Self { column, kind })
    }

    /// Returns the number of bins of the histogram.
    #[must_use]
    pub fn bins(&self) -> usize {
        match self.kind {
            MeasureKind::Integer { bins, .. } => bins.len(),
            MeasureKind::Word { values } => values as usize,
        }
    }

    /// Returns the number of statistics that spend epsilon.
    #[must_use]
    pub const fn statistics(&self) -> u64 {
        match self.kind {
            MeasureKind::Integer { .. } => 2,
            MeasureKind::Word { .. } => 1,
        }
    }
}
