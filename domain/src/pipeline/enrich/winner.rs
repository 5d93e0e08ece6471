//! Winner: the candidate with the greatest (rank, confidence, stamp).

use std::cmp::Ordering;

use super::{confidence, trust_register};
use crate::documents::{Register, SourceDocuments};
use crate::event::RegisterPath;
use crate::source::Source;
use crate::table::Leaf;

/// The sources of shared leaves.
const SHARING: [Source; 3] = [Source::Identity, Source::Metadata, Source::SelfEdit];

/// A register that holds a value for a path.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    source: Source,
    pub(super) register: &'a Register,
}

/// Returns the winner of a shared leaf; `None` when no register holds a value. A withdrawn register is not a candidate.
pub(super) fn winner<'a>(leaf: Leaf, documents: &'a SourceDocuments) -> Option<Candidate<'a>> {
    let path = RegisterPath::Leaf(leaf);
    let registers = SHARING.into_iter().flat_map(|source| source.kinds().iter().map(move |kind| (source, *kind)));
    let mut candidates = registers.filter_map(|(source, kind)| {
        let register = documents.get(source, &path, kind)?;
        register.value.is_some().then_some(Candidate { source, register })
    });
    let first = candidates.next()?;
    let Some(second) = candidates.next() else { return Some(first) };
    let adjudication = trust_register(documents, &RegisterPath::SourceConfidence);
    let compare = |a: &Candidate<'_>, b: &Candidate<'_>| -> Ordering {
        let by_rank = a.register.kind.rank().cmp(&b.register.kind.rank());
        let sure = |candidate: &Candidate<'_>| confidence(adjudication.as_ref(), candidate.source, leaf);
        by_rank
            .then_with(|| sure(a).total_cmp(&sure(b)))
            .then_with(|| a.register.compare_candidate(a.source, b.register, b.source))
    };
    [first, second].into_iter().chain(candidates).max_by(compare)
}
