//! The dictionaries, shared by all threads that make rows.

use domain::columns::{Codes, Dictionaries, DictionaryKind};
use parking_lot::RwLock;

/// Dictionaries behind a lock. Words are seldom new, so most look-ups only read.
#[derive(Default)]
pub(super) struct SharedDictionaries(RwLock<Dictionaries>);

impl SharedDictionaries {
    pub(super) fn new(dictionaries: Dictionaries) -> Self {
        Self(RwLock::new(dictionaries))
    }

    /// Returns a copy. Rows that were read before have no other codes.
    pub(super) fn copy(&self) -> Dictionaries {
        self.0.read().clone()
    }
}

impl Codes for SharedDictionaries {
    fn code(&self, kind: DictionaryKind, word: &str) -> u16 {
        let known = self.0.read().code(kind, word);
        known.unwrap_or_else(|| self.0.write().add(kind, word))
    }
}
