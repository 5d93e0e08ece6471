//! The interface that the CPU and the GPU share.

use crate::{
    Aggregates, Generalisation, GroupColumn, KernelError, MeasureColumn, Pseudonym, PseudonymKey, RowClasses,
    SensitiveColumn, Texts,
};
use std::fmt;

/// What computes the kernels. All back ends return the same bits for the same input, and the same error.
///
/// A back end can be called by several threads at once. Each call returns when its results are there.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Returns which kind of device this is.
    fn kind(&self) -> BackendKind;

    /// Returns the device and how its kernels were compiled, for logs and for the status of a job.
    fn description(&self) -> String;

    /// Computes the pseudonym of each text: HMAC-SHA-256 under the key.
    ///
    /// Memory: 32 bytes a row for the result, and on a GPU also the texts and 4 bytes a row.
    ///
    /// # Errors
    /// When the device fails, or there are too many rows.
    fn pseudonyms(&self, key: &PseudonymKey, texts: &Texts<'_>) -> Result<Vec<Pseudonym>, KernelError>;

    /// Generalises the quasi-identifiers of n rows, groups equal rows into classes, and finds the values of each sensitive
    /// column that each class holds.
    ///
    /// Memory on the CPU: at most about 80 bytes a row and twice the sets of values. On a GPU, of its own memory: the columns
    /// and at most about 85 bytes a row, and a set of values for each class.
    ///
    /// # Errors
    /// When columns do not fit to the generalisation or to each other, a code is outside its dictionary, a sensitive column
    /// has more than [`MOST_SENSITIVE_CODES`](crate::MOST_SENSITIVE_CODES) values, or the device fails.
    fn row_classes(
        &self,
        generalisation: &Generalisation,
        columns: &[&[u32]],
        sensitive: &[SensitiveColumn<'_>],
    ) -> Result<RowClasses, KernelError>;

    /// Counts rows by group, and adds up each measure by group and bin.
    ///
    /// Memory: on the CPU 8 bytes for each bin of a measure and thread; on a GPU the columns and 8 bytes for each bin.
    ///
    /// # Errors
    /// When columns have different lengths, bounds or edges of a measure are wrong, a group is out of range, there are more
    /// than [`MOST_BINS`](crate::MOST_BINS) bins, or the device fails.
    fn aggregates(&self, groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<Aggregates, KernelError>;
}

/// Kinds of back ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendKind {
    /// The processor.
    Cpu,
    /// A GPU, through the CUDA driver.
    Cuda,
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}
