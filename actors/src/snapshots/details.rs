//! A snapshot with what is told of its revision.

use domain::profile::push_hex;
use domain::snapshot::{Snapshot, SnapshotId, SnapshotTrigger};
use domain::source::Source;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

/// A snapshot as one viewer may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDetails {
    /// The id.
    pub id: SnapshotId,
    /// The revision.
    pub revision: u64,
    /// The root of the revision's hash tree, in hex.
    pub profile_hash: String,
    /// The completeness at the revision, in canonical JSON; `None` if the viewer does not see it, or if there was none.
    pub completeness_pct: Option<String>,
    /// How long the revision took to assemble, in canonical JSON.
    pub assembly_latency_ms: String,
    /// The newest stamp of each source, in microseconds since the Unix epoch. Only for viewers who see where values come from.
    pub source_versions: Vec<(Source, i64)>,
    /// When it was taken; for a daily one when its revision was generated. In microseconds since the Unix epoch.
    pub created_at: i64,
    /// When it may be removed, in microseconds since the Unix epoch.
    pub expires_at: i64,
    /// Why it exists.
    pub trigger: SnapshotTrigger,
}

/// What is told of a revision, before it is masked.
#[derive(Debug, Clone)]
pub(super) struct RevisionDetails {
    profile_hash: String,
    completeness_pct: Option<String>,
    assembly_latency_ms: String,
    source_versions: Vec<(Source, i64)>,
}

impl RevisionDetails {
    pub(super) fn from_state(state: &UserState) -> Self {
        let mut profile_hash = String::with_capacity(64);
        push_hex(&mut profile_hash, &state.profile_hash());
        let pct = state.profile.get(Leaf::ProfileCompletenessPct);
        let newest = |source: Source| Some((source, state.documents.newest(source)?));
        Self {
            profile_hash,
            completeness_pct: pct.map(|pct| pct.as_str().to_owned()),
            assembly_latency_ms: state.envelope.assembly_latency_ms().as_str().to_owned(),
            source_versions: Source::ALL.into_iter().filter_map(newest).collect(),
        }
    }

    /// Returns what a viewer with a mask may see of a snapshot of the revision.
    pub(super) fn masked(self, snapshot: &Snapshot, mask: LeafSet, sees_sources: bool) -> SnapshotDetails {
        let Snapshot { id, revision, created_at, expires_at, trigger, taken: _ } = *snapshot;
        SnapshotDetails {
            id,
            revision,
            profile_hash: self.profile_hash,
            completeness_pct: self.completeness_pct.filter(|_| mask.has(Leaf::ProfileCompletenessPct)),
            assembly_latency_ms: self.assembly_latency_ms,
            source_versions: if sees_sources { self.source_versions } else { Vec::new() },
            created_at,
            expires_at,
            trigger,
        }
    }
}
