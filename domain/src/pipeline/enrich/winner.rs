//! Winner: the candidate with the greatest (rank, confidence, stamp).

use std::cell::LazyCell;
use std::cmp::Ordering;

use super::{confidence, trust_register};
use crate::documents::{Register, SourceDocument, SourceDocuments};
use crate::event::RegisterPath;
use crate::source::Source;
use crate::table::Leaf;

/// The documents of the sources of shared leaves.
pub(super) struct SharingDocuments<'a> {
    all: &'a SourceDocuments,
    sharing: [(Source, Option<&'a SourceDocument>); 3],
}

impl<'a> SharingDocuments<'a> {
    /// Looks the documents up.
    pub(super) fn new(all: &'a SourceDocuments) -> Self {
        let sharing = [Source::Identity, Source::Metadata, Source::SelfEdit];
        Self { all, sharing: sharing.map(|source| (source, all.document(source))) }
    }
}

/// A register that holds a value for a path.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    source: Source,
    pub(super) register: &'a Register,
}

/// Returns the winner of a shared leaf; `None` when no register holds a value. A withdrawn register is not a candidate.
pub(super) fn winner<'a>(leaf: Leaf, documents: &SharingDocuments<'a>) -> Option<Candidate<'a>> {
    let path = RegisterPath::Leaf(leaf);
    let adjudication = LazyCell::new(|| trust_register(documents.all, &RegisterPath::SourceConfidence));
    let compare = |a: &Candidate<'_>, b: &Candidate<'_>| -> Ordering {
        let by_rank = a.register.kind.rank().cmp(&b.register.kind.rank());
        let sure = |candidate: &Candidate<'_>| confidence(adjudication.as_ref(), candidate.source, leaf);
        by_rank
            .then_with(|| sure(a).total_cmp(&sure(b)))
            .then_with(|| a.register.compare_candidate(a.source, b.register, b.source))
    };
    let mut best: Option<Candidate<'a>> = None;
    for (source, document) in &documents.sharing {
        let Some(document) = document else { continue };
        for kind in source.kinds() {
            let register = document.get(&path, *kind).filter(|register| register.value.is_some());
            let Some(register) = register else { continue };
            let candidate = Candidate { source: *source, register };
            if best.is_none_or(|best| compare(&best, &candidate).is_le()) {
                best = Some(candidate);
            }
        }
    }
    best
}
