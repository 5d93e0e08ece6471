//! The kernels on the CPU, in parallel on the rayon pool of the caller.

mod aggregates;
mod chunk;
mod lanes;
mod pseudonyms;
mod radix;
mod row_classes;
mod table;

use crate::{
    Aggregates, Backend, BackendKind, Generalisation, GroupColumn, KernelError, MeasureColumn, Pseudonym, PseudonymKey,
    RowClasses, SensitiveColumn, Texts,
};
pub use pseudonyms::Hashing;
pub use row_classes::{class_sizes, distinct_values};

/// The CPU as a back end. It has no state: work runs in the rayon pool that the caller is in, which bounds its threads.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    hashing: Hashing,
}

impl Cpu {
    /// Returns the back end with what is fastest on this processor.
    #[must_use]
    pub fn new() -> Self {
        Self::with_hashing(Hashing::fastest())
    }

    /// Returns the back end with a certain implementation of SHA-256, for comparisons.
    #[must_use]
    pub fn with_hashing(hashing: Hashing) -> Self {
        Self { hashing }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Cpu {
    fn kind(&self) -> BackendKind {
        BackendKind::Cpu
    }

    fn description(&self) -> String {
        let hashing = match self.hashing {
            Hashing::Lanes => "SHA-256 of 16 texts at once",
            Hashing::OneByOne => "SHA-256 of one text at a time",
        };
        format!("CPU, {} threads, {hashing}", rayon::current_num_threads())
    }

    fn pseudonyms(&self, key: &PseudonymKey, texts: &Texts<'_>) -> Result<Vec<Pseudonym>, KernelError> {
        Ok(pseudonyms::pseudonyms(self.hashing, key, texts))
    }

    fn row_classes(
        &self,
        generalisation: &Generalisation,
        columns: &[&[u32]],
        sensitive: &[SensitiveColumn<'_>],
    ) -> Result<RowClasses, KernelError> {
        row_classes::row_classes(generalisation, columns, sensitive)
    }

    fn aggregates(&self, groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<Aggregates, KernelError> {
        aggregates::aggregates(groups, measures)
    }
}
