//! The errors of columns that cannot be computed on.

use crate::CudaError;

/// Why columns cannot be computed on. Both back ends return the same error for the same input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The quasi-identifiers do not fit into a key of 64 bits.
    #[error("the quasi-identifiers need `{bits}` bits, a key has 64")]
    KeyTooWide {
        /// The sum of the widths of all columns.
        bits: u32,
    },
    /// The number of columns differs from that of the packing.
    #[error("the packing is for `{expected}` columns, but `{given}` were given")]
    ColumnCount {
        /// Number of columns of the packing.
        expected: usize,
        /// Number of columns that were given.
        given: usize,
    },
    /// A column that is shorter or longer than its neighbours.
    #[error("a column has `{given}` rows where `{expected}` were expected")]
    ColumnLength {
        /// Number of rows of the first column.
        expected: usize,
        /// Number of rows of this column.
        given: usize,
    },
    /// A code outside its column's dictionary.
    #[error("row `{row}` of column `{column}` holds code `{code}`, its dictionary has `{cardinality}` entries")]
    CodeOutOfRange {
        /// Position of the column, from 0.
        column: usize,
        /// Position of the row, from 0.
        row: usize,
        /// The code found there.
        code: u32,
        /// Entries of the column's dictionary.
        cardinality: u32,
    },
    /// A hierarchy that generalises a code to one outside of the generalised dictionary.
    #[error("a hierarchy generalises code `{code}` to `{value}`, its level has `{cardinality}` entries")]
    LookupOutOfRange {
        /// The code that is generalised.
        code: usize,
        /// What it is generalised to.
        value: u32,
        /// Entries of the dictionary of this level.
        cardinality: u32,
    },
    /// A sensitive column with more values than a class keeps a set of.
    #[error(
        "sensitive column `{column}` has `{cardinality}` values, at most `{}` are counted",
        crate::MOST_SENSITIVE_CODES
    )]
    SensitiveTooWide {
        /// Position of the column, from 0.
        column: usize,
        /// Entries of the column's dictionary.
        cardinality: u32,
    },
    /// A row of a group that was not announced.
    #[error("row `{row}` is in group `{group}`, there are `{groups}` groups")]
    GroupOutOfRange {
        /// Position of the row, from 0.
        row: usize,
        /// The group found there.
        group: u32,
        /// Number of groups.
        groups: u32,
    },
    /// Bounds of a measure that are in the wrong order, or wider than 32 bits.
    #[error("measure `{measure}` is clamped to `{low}..={high}`, which is empty or wider than 32 bits")]
    MeasureBounds {
        /// Position of the measure, from 0.
        measure: usize,
        /// The lower bound.
        low: i64,
        /// The upper bound.
        high: i64,
    },
    /// Edges of bins that do not ascend.
    #[error("the edges of the bins of measure `{measure}` do not ascend")]
    EdgeOrder {
        /// Position of the measure, from 0.
        measure: usize,
    },
    /// More bins than a result may have.
    #[error("measure `{measure}` has `{bins}` bins over all groups, at most `{}` are allowed", crate::MOST_BINS)]
    TooManyBins {
        /// Position of the measure, from 0.
        measure: usize,
        /// Bins of all groups.
        bins: u64,
    },
    /// Positions of texts that descend, or that lie outside of the text.
    #[error("text `{row}` ends at byte `{end}`, which is before its start or after the last byte")]
    TextBounds {
        /// Position of the text, from 0.
        row: usize,
        /// Where it ends.
        end: usize,
    },
    /// More rows than positions of 32 bits can name.
    #[error("a batch has at most `{}` rows, but `{rows}` were given", u32::MAX - 1)]
    TooManyRows {
        /// Number of rows that were given.
        rows: usize,
    },
    /// The device failed. The input may be computed on the CPU instead.
    #[error(transparent)]
    Device(#[from] CudaError),
}

/// Fails if this many rows cannot be numbered with 32 bits and one number to spare.
pub(crate) fn check_rows(rows: usize) -> Result<(), KernelError> {
    match u32::try_from(rows) {
        Ok(u32::MAX) | Err(_) => Err(KernelError::TooManyRows { rows }),
        Ok(_) => Ok(()),
    }
}

/// Fails if a column has another number of rows than the first.
pub(crate) fn check_length(expected: usize, given: usize) -> Result<(), KernelError> {
    if given == expected { Ok(()) } else { Err(KernelError::ColumnLength { expected, given }) }
}
