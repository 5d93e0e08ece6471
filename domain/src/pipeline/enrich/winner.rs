//! Winner: the candidate with the greatest (rank, confidence, stamp).

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
    let sharing = documents.sharing.iter().filter_map(|(source, document)| Some((*source, (*document)?)));
    let mut candidates = sharing.flat_map(|(source, document)| {
        let registers = source.kinds().iter().filter_map(|kind| document.get(&path, *kind));
        registers.filter(|register| register.value.is_some()).map(move |register| Candidate { source, register })
    });
    let first = candidates.next()?;
    let Some(second) = candidates.next() else { return Some(first) };
    let adjudication = trust_register(documents.all, &RegisterPath::SourceConfidence);
    let compare = |a: &Candidate<'_>, b: &Candidate<'_>| -> Ordering {
        let by_rank = a.register.kind.rank().cmp(&b.register.kind.rank());
        let sure = |candidate: &Candidate<'_>| confidence(adjudication.as_ref(), candidate.source, leaf);
        by_rank
            .then_with(|| sure(a).total_cmp(&sure(b)))
            .then_with(|| a.register.compare_candidate(a.source, b.register, b.source))
    };
    [first, second].into_iter().chain(candidates).max_by(compare)
}
