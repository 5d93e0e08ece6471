//! Why a file of an export is not what it says.

/// Why a file is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// A member of the metadata is missing or is not understood.
    #[error("the metadata has no `{0}`, or another value than this release understands: is this an export?")]
    Metadata(&'static str),
    /// A column that the metadata names is not in the file, or does not hold words.
    #[error("the file has no column `{0}` of words, which its metadata names")]
    MissingColumn(String),
    /// An aggregate does not say how many people its groups have.
    #[error("the file has no column `count` with the number of people of each group")]
    NoCounts,
    /// There is a column that no export may have.
    #[error("the file has a column `{0}`, which no export may have")]
    ForbiddenColumn(String),
    /// Two columns have the same name: only one of them would be checked.
    #[error("the file has the column `{0}` twice")]
    RepeatedColumn(String),
    /// A column that could tell who a person is is not among those that classes are counted by.
    #[error("the file has a column `{0}`, which its metadata does not name among the quasi-identifiers")]
    NotGrouped(String),
    /// A column that says something sensitive is not among those whose values are counted.
    #[error("the file has a column `{0}`, which its metadata does not name among the sensitive ones")]
    NotDiverse(String),
    /// The number of rows is another one.
    #[error("the file has {found} rows, and its metadata says {claimed}")]
    Rows {
        /// The number of rows in the metadata.
        claimed: u64,
        /// The number of rows in the file.
        found: u64,
    },
    /// A class is too small.
    #[error("a class has {size} rows, and k is {k}: {class}")]
    SmallClass {
        /// The size of the class.
        size: u32,
        /// What the file claims.
        k: u32,
        /// The values of the quasi-identifiers.
        class: String,
    },
    /// A group of an aggregate is too small, or says no number.
    #[error("a group has a `count` of {count:?}, and k is {k}: row {row}")]
    SmallGroup {
        /// The number of people, with noise; `None` if there is none.
        count: Option<i64>,
        /// What the file claims.
        k: u32,
        /// The number of the row, from 0.
        row: usize,
    },
    /// A class has too few different values.
    #[error("a class has {distinct} different values of `{column}`, and l is {l}: {class}")]
    FewValues {
        /// The sensitive column with too few values.
        column: String,
        /// The number of different values.
        distinct: u32,
        /// What the file claims.
        l: u32,
        /// The values of the quasi-identifiers.
        class: String,
    },
}
