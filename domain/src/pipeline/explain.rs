//! Where values come from: the register behind each leaf, and why it was chosen. Read from the stamps of the documents.

use crate::canonical::CanonicalJson;
use crate::documents::{Register, SourceDocuments};
use crate::event::{RegisterPath, SharedText};
use crate::named_enum;
use crate::source::{Source, ValueKind};
use crate::state::UserState;
use crate::table::{Leaf, LeafSet, Owner};

use super::enrich::winner::{Candidate, Contest, SharingDocuments};

/// The register that the value of a leaf comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The leaf.
    pub leaf: Leaf,
    /// The source that sent the value. Of a list of items, the one of the newest item.
    pub source: Source,
    /// The kind of the value.
    pub kind: ValueKind,
    /// The stamp's observed_at, in microseconds since the Unix epoch.
    pub observed_at: i64,
    /// The id of the event that brought the value.
    pub event_id: SharedText,
    /// The number of other registers whose value was not chosen.
    pub overrides: usize,
}

named_enum! {
    /// The rule that decided which register's value a leaf has.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum DecidingRule {
        /// One source owns the leaf.
        Owner => "owner",
        /// No other source has sent a value.
        OnlyCandidate => "only_candidate",
        /// The value was checked, or the citizen has stated it; the others were inferred.
        Rank => "rank",
        /// The trust source has more confidence in this source.
        Confidence => "confidence",
        /// The value was observed last.
        Newest => "newest",
    }
}

/// A register that holds a value of a leaf, or has withdrawn one.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedCandidate {
    /// The source of the register.
    pub source: Source,
    /// The kind of the register.
    pub kind: ValueKind,
    /// The first sort key: 1 for a value that was checked or stated by the citizen, and else 0.
    pub rank: u8,
    /// The second sort key, from 0 to 1.
    pub confidence: f64,
    /// The third sort key begins with this: the stamp's observed_at, in microseconds since the Unix epoch.
    pub observed_at: i64,
    /// The id of the event that wrote the register.
    pub event_id: SharedText,
    /// The value; `None` if it was withdrawn. A withdrawn register is no candidate.
    pub value: Option<CanonicalJson>,
}

/// Why a leaf has its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The leaf.
    pub leaf: Leaf,
    /// The rule that decided; `None` for a leaf that the server derives.
    pub rule: Option<DecidingRule>,
    /// The registers of the leaf: the winner, then the other candidates in the order of their precedence, then those that
    /// were withdrawn. Empty for a derived leaf.
    pub candidates: Vec<ExplainedCandidate>,
}

/// Returns the provenance of the leaves of `seen` that the profile has. Leaves that the server derives have none.
pub fn provenance(state: &UserState, seen: LeafSet) -> Vec<Provenance> {
    let sharing = SharingDocuments::new(&state.documents);
    let seen = state.profile.present().and(seen);
    seen.iter().filter_map(|leaf| provenance_of(leaf, &state.documents, &sharing)).collect()
}

fn provenance_of(leaf: Leaf, documents: &SourceDocuments, sharing: &SharingDocuments<'_>) -> Option<Provenance> {
    let (source, register, overrides) = match leaf.field().owner {
        Owner::Derived => return None,
        Owner::Source(source) => (source, newest(leaf, source, documents)?, 0),
        Owner::Shared => {
            let contest = Contest::new(leaf, sharing);
            let winner = contest.winner()?;
            let others = contest.registers().filter(|candidate| candidate.register.value.is_some()).count() - 1;
            (winner.source, winner.register, others)
        }
    };
    let (kind, observed_at, event_id) = (register.kind, register.time, register.event_id.clone());
    Some(Provenance { leaf, source, kind, observed_at, event_id, overrides })
}

/// Returns the register of a leaf that one source owns: of a list of deadlines, the one that was written last.
fn newest(leaf: Leaf, source: Source, documents: &SourceDocuments) -> Option<&Register> {
    let belongs = |register: &&Register| register.value.is_some() && register.path.leaves().has(leaf);
    let registers = documents.document(source)?.registers().iter().filter(belongs);
    registers.max_by(|a, b| a.compare_candidate(source, b, source))
}

/// Explains the value of a leaf; `None` if the profile has none.
pub fn explain(state: &UserState, leaf: Leaf) -> Option<Explanation> {
    state.profile.get(leaf)?;
    let documents = &state.documents;
    Some(match leaf.field().owner {
        Owner::Derived => Explanation { leaf, rule: None, candidates: Vec::new() },
        Owner::Source(source) => {
            let register = documents.get(source, &RegisterPath::Leaf(leaf), source.kinds()[0]);
            let register =
                register.filter(|register| register.value.is_some()).or_else(|| newest(leaf, source, documents));
            let candidates =
                register.map(|register| explained(Candidate { source, register }, 0.5)).into_iter().collect();
            Explanation { leaf, rule: Some(DecidingRule::Owner), candidates }
        }
        Owner::Shared => explain_contest(leaf, documents),
    })
}

fn explain_contest(leaf: Leaf, documents: &SourceDocuments) -> Explanation {
    let sharing = SharingDocuments::new(documents);
    let contest = Contest::new(leaf, &sharing);
    let mut registers: Vec<_> = contest.registers().collect();
    registers.sort_by(|a, b| {
        let by_value = b.register.value.is_some().cmp(&a.register.value.is_some());
        by_value.then_with(|| contest.compare(b, a))
    });
    let candidates: Vec<_> =
        registers.iter().map(|candidate| explained(*candidate, contest.confidence(candidate))).collect();
    Explanation { leaf, rule: Some(deciding_rule(&candidates)), candidates }
}

fn explained(candidate: Candidate<'_>, confidence: f64) -> ExplainedCandidate {
    let Register { kind, time, event_id, value, .. } = candidate.register;
    ExplainedCandidate {
        source: candidate.source,
        kind: *kind,
        rank: kind.rank(),
        confidence,
        observed_at: *time,
        event_id: event_id.clone(),
        value: value.clone(),
    }
}

/// Returns the first sort key in which the winner differs from the next candidate.
fn deciding_rule(candidates: &[ExplainedCandidate]) -> DecidingRule {
    match candidates {
        [winner, next, ..] if next.value.is_some() => match () {
            () if winner.rank != next.rank => DecidingRule::Rank,
            () if winner.confidence.total_cmp(&next.confidence).is_ne() => DecidingRule::Confidence,
            () => DecidingRule::Newest,
        },
        _ => DecidingRule::OnlyCandidate,
    }
}
