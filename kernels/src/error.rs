//! The errors of columns that cannot be computed on.

/// Why columns cannot be computed on.
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
    /// More rows than positions of 32 bits can name.
    #[error("a batch has at most `{}` rows, but `{rows}` were given", u32::MAX - 1)]
    TooManyRows {
        /// Number of rows that were given.
        rows: usize,
    },
}
