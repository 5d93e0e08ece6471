//! The port of tables that are written to files: the results of exports.
//!
//! A table is written in batches of rows, so that memory holds a batch and not the table. What a column may hold, and which
//! row is in it, is decided before: an implementation of this port knows no profile.

use std::collections::BTreeMap;
use std::sync::Arc;

crate::named_enum! {
    /// The format of a table's file.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum TableFormat {
        /// Apache Parquet, compressed with zstd.
        Parquet => "parquet",
        /// Apache Arrow's IPC file format, compressed with zstd.
        Arrow => "arrow",
        /// A JSON object per line; the first line holds the metadata.
        Ndjson => "ndjson",
    }
}

impl TableFormat {
    /// Returns the media type of such files.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.file",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The code of a row that has no word in a column of words.
pub const NO_WORD: u16 = u16::MAX;

/// Bytes of a row's key.
pub const KEY_BYTES: usize = 32;

/// The columns of a table, and what is said about the table as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// The columns, in their order in the file.
    pub columns: Vec<TableColumn>,
    /// Names and values of the file's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name, which no other column of the table has.
    pub name: String,
    /// What it says, in a sentence.
    pub description: String,
    /// The type of its values.
    pub values: ColumnType,
}

/// The type of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// [`KEY_BYTES`] bytes, such as a pseudonym; never missing.
    Key,
    /// One of these words, or none.
    Word(Arc<[String]>),
    /// Any number of these words.
    WordList(Arc<[String]>),
    /// An integer, or none.
    Integer,
    /// A number, or none.
    Real,
}

/// The values of one column in a batch of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// Of [`ColumnType::Key`].
    Keys(Vec<[u8; KEY_BYTES]>),
    /// Of [`ColumnType::Word`]: positions in its words, or [`NO_WORD`].
    Words(Vec<u16>),
    /// Of [`ColumnType::WordList`]: the positions of all rows' words one after the other, and for each row where its own
    /// end.
    WordLists {
        /// Positions in the column's words.
        words: Vec<u16>,
        /// Where each row's words end in `words`.
        ends: Vec<u32>,
    },
    /// Of [`ColumnType::Integer`].
    Integers(Vec<Option<i64>>),
    /// Of [`ColumnType::Real`].
    Reals(Vec<Option<f64>>),
}

impl ColumnValues {
    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Keys(keys) => keys.len(),
            Self::Words(words) => words.len(),
            Self::WordLists { ends, .. } => ends.len(),
            Self::Integers(integers) => integers.len(),
            Self::Reals(reals) => reals.len(),
        }
    }
}

/// Writes a table to its file.
pub trait TableWriter: Send {
    /// Appends rows: one entry per column of the schema, all of the same length.
    ///
    /// # Errors
    /// The file cannot be completed any more.
    fn write(&mut self, columns: &[ColumnValues]) -> Result<(), TableError>;

    /// Completes the file and returns its length in bytes. It is durable then, and can be read.
    ///
    /// # Errors
    /// There is no file.
    fn finish(self: Box<Self>) -> Result<u64, TableError>;
}

/// A file that was completed.
pub trait TableFile: Send + Sync {
    /// Returns its length in bytes.
    fn length(&self) -> u64;

    /// Reads up to `length` bytes from `offset` on: fewer only where the file ends. Blocks for the disk.
    ///
    /// # Errors
    /// The file is damaged, cannot be read, or was removed since it was opened: once [`TableFiles::remove`] has returned, no
    /// byte of it is read any more.
    fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, TableError>;
}

/// The files of tables, each under the name of the job that made it. They are encrypted, each under a key of its own.
///
/// The methods block for the disk.
pub trait TableFiles: Send + Sync {
    /// Begins a file under a name of letters, digits and underscores. A writer that is dropped leaves no file.
    ///
    /// # Errors
    /// The schema's names repeat, or the file cannot be made.
    fn create(&self, name: &str, format: TableFormat, schema: &TableSchema)
    -> Result<Box<dyn TableWriter>, TableError>;

    /// Opens a completed file; `None` if there is none under that name.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    fn open(&self, name: &str) -> Result<Option<Arc<dyn TableFile>>, TableError>;

    /// Destroys the file's key and then removes the file. Whoever has opened it reads nothing of it any more. Nothing happens if
    /// there is none.
    ///
    /// # Errors
    /// The file may still be readable: try again.
    fn remove(&self, name: &str) -> Result<(), TableError>;

    /// Returns the names of all completed files.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn names(&self) -> Result<Vec<String>, TableError>;
}

/// Why a table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The rows do not fit to the schema, or the schema is none.
    #[error("the table is not as its schema says: {0}")]
    Schema(String),
    /// The file is damaged.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file was removed after it was opened.
    #[error("the file was removed")]
    Removed,
    /// The file cannot be written or read.
    #[error("the file could not be {doing}")]
    Unavailable {
        /// What failed: written, read, …
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
