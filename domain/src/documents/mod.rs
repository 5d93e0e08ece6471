//! Source documents: the current values that each source has sent about a user, each with a stamp.

mod document;

use std::cmp::Ordering;
use std::sync::Arc;

use crate::day::Day;
use crate::event::{RegisterPath, RegisterWrite, SharedText};
use crate::packed_chunk::PackedChunk;
use crate::source::{Source, ValueKind};
use crate::table::{Leaf, LeafSet};

pub use document::{DEADLINES_KEPT, OVERLAYS_KEPT, Register, SourceDocument, WriteOutcome};

/// All source documents of one user. Cloning shares what does not change.
///
/// The documents of an unpacked state are decoded when they are first read, so that an event pays for those that it
/// needs.
#[derive(Clone, Default)]
pub struct SourceDocuments {
    /// The documents as they were unpacked.
    stored: Option<Arc<dyn StoredDocuments>>,
    /// The documents that were written since, each in place of the stored one.
    own: [Option<Arc<SourceDocument>>; Source::COUNT],
    /// The leaves whose registers, or the registers of whose items, were written since.
    written: LeafSet,
}

/// The documents of a packed state.
pub(crate) trait StoredDocuments: Send + Sync {
    /// Returns the document of `source`, which is decoded if this is the first call.
    fn document(&self, source: Source) -> Option<&Arc<SourceDocument>>;

    /// Returns the newest `observed_at` of a source's registers, without decoding them.
    fn newest(&self, source: Source) -> Option<i64>;

    /// Returns the packed form of a document.
    fn packed(&self, source: Source) -> Option<PackedChunk<'_>>;
}

impl SourceDocuments {
    /// Returns the documents of a packed state.
    pub(crate) fn from_stored(stored: Arc<dyn StoredDocuments>) -> Self {
        Self { stored: Some(stored), ..Self::default() }
    }

    /// Returns the document of `source`; `None` if it never sent a value.
    pub fn document(&self, source: Source) -> Option<&SourceDocument> {
        self.shared(source).map(Arc::as_ref)
    }

    fn shared(&self, source: Source) -> Option<&Arc<SourceDocument>> {
        self.own[source as usize].as_ref().or_else(|| self.stored.as_ref()?.document(source))
    }

    /// Returns the document of `source` if it was written since the state was unpacked.
    pub(crate) fn own(&self, source: Source) -> Option<&SourceDocument> {
        self.own[source as usize].as_deref()
    }

    /// Returns the packed form of a document that was not written since it was unpacked.
    pub(crate) fn packed(&self, source: Source) -> Option<PackedChunk<'_>> {
        if self.own[source as usize].is_some() { None } else { self.stored.as_ref()?.packed(source) }
    }

    /// Returns the leaves whose registers, or the registers of whose items, were written since the state was unpacked.
    pub(crate) fn written(&self) -> LeafSet {
        self.written
    }

    /// Returns the newest `observed_at` of a source's registers, in microseconds since the Unix epoch.
    pub fn newest(&self, source: Source) -> Option<i64> {
        match &self.own[source as usize] {
            Some(document) => document.newest,
            None => self.stored.as_ref()?.newest(source),
        }
    }

    /// Returns the newest `observed_at` of all registers, in microseconds since the Unix epoch. No event that was taken is
    /// later: a register is replaced or evicted only by newer ones.
    pub fn newest_of_all(&self) -> Option<i64> {
        Source::ALL.into_iter().filter_map(|source| self.newest(source)).max()
    }

    /// Returns the register of the path, the source and the kind.
    pub fn get(&self, source: Source, path: &RegisterPath, kind: ValueKind) -> Option<&Register> {
        self.document(source)?.get(path, kind)
    }

    /// Returns the register of a leaf that one source owns, so that it has one kind.
    pub fn owned(&self, source: Source, leaf: Leaf) -> Option<&Register> {
        self.get(source, &RegisterPath::Leaf(leaf), source.kinds()[0])
    }

    /// Writes one value with its stamp; the greatest stamp stays.
    pub fn write(&mut self, source: Source, time: i64, event_id: &SharedText, write: &RegisterWrite) -> WriteOutcome {
        let register = Register {
            path: write.path.clone(),
            kind: write.kind,
            time,
            event_id: event_id.clone(),
            value: write.value.clone(),
        };
        // An event that changes nothing must not copy the shared document, so compare stamps before `make_mut`.
        let held = self.shared(source);
        if let Some(held) = held.and_then(|document| document.get(&register.path, register.kind)) {
            match register.compare_stamp(held) {
                Ordering::Equal => return WriteOutcome::Duplicate,
                Ordering::Less => return WriteOutcome::Superseded,
                Ordering::Greater => {}
            }
        }
        if self.own[source as usize].is_none() {
            self.own[source as usize] = held.cloned();
        }
        let document = Arc::make_mut(self.own[source as usize].get_or_insert_default());
        let newest = document.newest;
        let outcome = document.write(register);
        self.written = self.written.or(write.path.leaves());
        // The trace is stored with days that count from the newest register of each source.
        if document.newest.map(Day::in_utc) != newest.map(Day::in_utc) {
            self.written.insert(Leaf::TrustSourceTrace);
        }
        outcome
    }

    /// Returns every document with its source.
    pub fn iter(&self) -> impl Iterator<Item = (Source, &SourceDocument)> {
        Source::ALL.into_iter().filter_map(|source| Some((source, self.document(source)?)))
    }
}

impl PartialEq for SourceDocuments {
    fn eq(&self, other: &Self) -> bool {
        Source::ALL.into_iter().all(|source| self.document(source) == other.document(source))
    }
}

impl std::fmt::Debug for SourceDocuments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::CanonicalJson;

    #[test]
    fn stored_registers_in_any_order_give_the_same_document() {
        let register = |leaf, time, value| Register {
            path: RegisterPath::Leaf(leaf),
            kind: ValueKind::UserProvided,
            time,
            event_id: "e".into(),
            value: Some(CanonicalJson::string(value)),
        };
        let (tax, bpl) = (Leaf::EconomicTaxRegime, Leaf::EconomicBplStatus);
        let mut expected = SourceDocuments::default();
        for (leaf, time, value) in [(tax, 3, "old"), (bpl, 2, "true")] {
            let write = RegisterWrite {
                path: RegisterPath::Leaf(leaf),
                kind: ValueKind::UserProvided,
                value: Some(CanonicalJson::string(value)),
            };
            expected.write(Source::SelfEdit, time, &"e".into(), &write);
        }
        let stored = [register(tax, 3, "old"), register(bpl, 2, "true"), register(tax, 1, "new")];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let document = SourceDocument::from_stored(order.map(|index| stored[index].clone()).to_vec());
            assert_eq!(Some(&document), expected.document(Source::SelfEdit));
        }
    }
}
