//! Classes with what k-anonymity and l-diversity ask of them.

use crate::{Classes, KernelError};

/// Maximum number of values of a sensitive column.
pub const MOST_SENSITIVE_CODES: u32 = 1_024;

/// A sensitive column: codes below `cardinality`, one per row.
#[derive(Debug, Clone, Copy)]
pub struct SensitiveColumn<'a> {
    /// The code of each row.
    pub codes: &'a [u32],
    /// Entries of the column's dictionary; at most [`MOST_SENSITIVE_CODES`].
    pub cardinality: u32,
}

impl SensitiveColumn<'_> {
    /// Returns how many words of 32 bits a set of the column's values takes.
    pub(crate) fn words(&self) -> usize {
        self.cardinality.div_ceil(u32::BITS) as usize
    }
}

/// Checks the widths and lengths of sensitive columns.
pub(crate) fn check_sensitive(rows: usize, sensitive: &[SensitiveColumn<'_>]) -> Result<(), KernelError> {
    for (column, SensitiveColumn { codes, cardinality }) in sensitive.iter().enumerate() {
        if *cardinality > MOST_SENSITIVE_CODES {
            return Err(KernelError::SensitiveTooWide { column, cardinality: *cardinality });
        }
        crate::error::check_length(rows, codes.len())?;
    }
    Ok(())
}

/// Returns the error of the first code of a sensitive column that is out of range, or nothing to say.
pub(crate) fn sensitive_error(sensitive: &[SensitiveColumn<'_>], column: usize, row: usize) -> KernelError {
    let SensitiveColumn { codes, cardinality } = sensitive[column];
    KernelError::CodeOutOfRange { column, row, code: codes[row], cardinality }
}

/// The classes of a batch, with the first row and the sensitive values of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowClasses {
    /// The classes, ascending by key.
    pub classes: Classes,
    /// The least row of each class, which represents it.
    pub first_rows: Vec<u32>,
    /// For each sensitive column, the set of values of each class.
    pub values: Vec<ValueSets>,
}

/// A set of codes for each class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueSets {
    /// Words of each set.
    words: usize,
    /// A bit for each code of each class.
    bits: Vec<u32>,
}

impl ValueSets {
    /// Returns empty sets for this many classes.
    pub(crate) fn new(words: usize, classes: usize) -> Self {
        Self { words, bits: vec![0; words * classes] }
    }

    /// Returns the sets with these bits.
    pub(crate) fn from_bits(words: usize, bits: Vec<u32>) -> Self {
        Self { words, bits }
    }

    /// Appends an empty set.
    pub(crate) fn push(&mut self) {
        self.bits.resize(self.bits.len() + self.words, 0);
    }

    /// Adds a code, which is below the cardinality, to the set of a class.
    pub(crate) fn insert(&mut self, class: usize, code: u32) {
        self.bits[class * self.words + (code / u32::BITS) as usize] |= 1 << (code % u32::BITS);
    }

    /// Adds the values of a class of another chunk to the set of a class.
    pub(crate) fn merge(&mut self, class: usize, other: &Self, other_class: usize) {
        let from = &other.bits[other_class * self.words..][..self.words];
        for (word, more) in self.bits[class * self.words..][..self.words].iter_mut().zip(from) {
            *word |= more;
        }
    }

    /// Returns whether a class holds this code.
    #[must_use]
    pub fn contains(&self, class: usize, code: u32) -> bool {
        let word = (code / u32::BITS) as usize;
        word < self.words && self.bits[class * self.words + word] >> (code % u32::BITS) & 1 == 1
    }

    /// Returns how many different values a class holds.
    #[must_use]
    pub fn distinct(&self, class: usize) -> u32 {
        self.bits[class * self.words..][..self.words].iter().map(|word| word.count_ones()).sum()
    }
}
