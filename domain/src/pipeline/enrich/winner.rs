//! Winner: the candidate with the greatest (rank, confidence, stamp).

use std::cell::OnceCell;
use std::cmp::Ordering;

use super::{confidence, trust_register};
use crate::canonical::CanonicalJson;
use crate::documents::{Register, SourceDocument, SourceDocuments};
use crate::event::RegisterPath;
use crate::source::{Source, ValueKind};
use crate::table::Leaf;

/// The documents of the sources of shared leaves.
pub(in crate::pipeline) struct SharingDocuments<'a> {
    all: &'a SourceDocuments,
    sharing: [(Source, Option<&'a SourceDocument>); 3],
}

impl<'a> SharingDocuments<'a> {
    /// Looks the documents up.
    pub(in crate::pipeline) fn new(all: &'a SourceDocuments) -> Self {
        let sharing = [Source::Identity, Source::Metadata, Source::SelfEdit];
        Self { all, sharing: sharing.map(|source| (source, all.document(source))) }
    }
}

/// A register of a path, and its source.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Candidate<'a> {
    pub(in crate::pipeline) source: Source,
    pub(in crate::pipeline) register: &'a Register,
}

/// The registers of one shared leaf, of which one wins.
pub(in crate::pipeline) struct Contest<'a, 'd> {
    leaf: Leaf,
    documents: &'d SharingDocuments<'a>,
    /// What the trust source said last. Most leaves have one candidate, and need no word of it.
    adjudication: OnceCell<Option<CanonicalJson>>,
}

impl<'a, 'd> Contest<'a, 'd> {
    /// Returns the contest for a leaf.
    pub(in crate::pipeline) fn new(leaf: Leaf, documents: &'d SharingDocuments<'a>) -> Self {
        Self { leaf, documents, adjudication: OnceCell::new() }
    }

    /// Returns the registers of the leaf, withdrawn ones too.
    pub(in crate::pipeline) fn registers(&self) -> impl Iterator<Item = Candidate<'a>> {
        let leaf = self.leaf;
        let documents = self.documents.sharing.iter().filter_map(|(source, document)| Some((*source, (*document)?)));
        documents.flat_map(move |(source, document)| {
            let register = move |kind: &ValueKind| document.get(&RegisterPath::Leaf(leaf), *kind);
            let registers = source.kinds().iter().filter_map(register);
            registers.map(move |register| Candidate { source, register })
        })
    }

    /// Returns the confidence in the source of a candidate.
    pub(in crate::pipeline) fn confidence(&self, candidate: &Candidate<'_>) -> f64 {
        let read = || trust_register(self.documents.all, &RegisterPath::SourceConfidence);
        confidence(self.adjudication.get_or_init(read).as_ref(), candidate.source, self.leaf)
    }

    /// Compares two candidates by rank, confidence and stamp. The greater one wins.
    pub(in crate::pipeline) fn compare(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        let by_rank = a.register.kind.rank().cmp(&b.register.kind.rank());
        by_rank
            .then_with(|| self.confidence(a).total_cmp(&self.confidence(b)))
            .then_with(|| a.register.compare_candidate(a.source, b.register, b.source))
    }

    /// Returns the winner; `None` when no register holds a value. A withdrawn register is not a candidate.
    pub(in crate::pipeline) fn winner(&self) -> Option<Candidate<'a>> {
        let candidates = self.registers().filter(|candidate| candidate.register.value.is_some());
        candidates.reduce(|best, candidate| if self.compare(&best, &candidate).is_le() { candidate } else { best })
    }
}
