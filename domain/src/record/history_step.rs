//! A record of history, decoded: a change as the journal had it, or changes that were merged.

use super::block::{BlockRecord, DroppedRevisions, RevisionOrigin};
use super::cause::Cause;
use super::change::{StoredChange, decode};
use super::codec::DecodeError;
use super::merged::MergedRun;
use crate::port::journal::{Record, RecordKind};
use crate::profile::Profile;
use crate::snapshot::{DailyPoint, SnapshotMark};
use crate::state::UserState;
use crate::table::LeafSet;

/// A step from one state of the history to the next.
pub(super) enum HistoryStep {
    Change(Box<StoredChange>),
    Merged(Box<MergedRun>),
}

impl HistoryStep {
    /// Reads a record of a history block.
    ///
    /// # Errors
    /// The record is of an unknown kind or format.
    pub(super) fn decode(record: BlockRecord<'_>) -> Result<Self, DecodeError> {
        Ok(match record.kind {
            RecordKind::MERGED => Self::Merged(Box::new(MergedRun::decode(record)?)),
            _ => Self::Change(Box::new(decode(record)?)),
        })
    }

    /// Reads a frame of the journal, which has no merged changes.
    ///
    /// # Errors
    /// The record is not a change of this format.
    pub(super) fn of_frame(record: &Record) -> Result<Self, DecodeError> {
        Ok(Self::Change(Box::new(decode(record.into())?)))
    }

    /// Returns the sequence of the state that the step begins with; 0 at the beginning of a generation's history.
    pub(super) fn base_sequence(&self) -> u64 {
        match self {
            Self::Change(change) if change.new_generation.is_some() => 0,
            Self::Change(change) => change.sequence - 1,
            Self::Merged(run) => run.base_sequence,
        }
    }

    /// Returns the state after the step is applied to `before`.
    ///
    /// # Errors
    /// The step does not follow `before`.
    pub(super) fn apply(&self, before: Option<UserState>) -> Result<UserState, DecodeError> {
        match self {
            Self::Change(change) => change.apply(before),
            Self::Merged(run) => run.apply(before),
        }
    }

    /// Gives the leaves of the consent the values that they have after the step.
    ///
    /// # Errors
    /// A value is damaged.
    pub(super) fn set_consents(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        match self {
            Self::Change(change) => change.revised.as_ref().map_or(Ok(()), |revised| revised.set_consents(profile)),
            Self::Merged(run) => run.set_consents(profile),
        }
    }

    /// Returns the revision that the step makes; `None` if it makes none.
    pub(super) fn revision(&self) -> Option<u64> {
        match self {
            Self::Change(change) => change.revised.as_ref().map(|revised| revised.envelope.revision),
            Self::Merged(run) => Some(run.envelope.revision),
        }
    }

    /// Returns when the revision of the step was generated; `None` if it makes none.
    pub(super) fn generated_at(&self) -> Option<i64> {
        match self {
            Self::Change(change) => change.revised.as_ref().map(|revised| revised.envelope.generated_at),
            Self::Merged(run) => Some(run.envelope.generated_at),
        }
    }

    /// Returns the revision that the step makes, and when it was generated; `None` if it makes none.
    pub(super) fn made(&self) -> Option<DailyPoint> {
        Some(DailyPoint { revision: self.revision()?, generated_at: self.generated_at()? })
    }

    /// Returns what the step says about snapshots.
    pub(super) fn snapshot(&self) -> Option<SnapshotMark> {
        match self {
            Self::Change(change) => change.snapshot,
            Self::Merged(_) => None,
        }
    }

    /// Returns the revisions that the step jumps over.
    pub(super) fn dropped(&self) -> Option<DroppedRevisions> {
        match self {
            Self::Change(_) => None,
            Self::Merged(run) => run.dropped(),
        }
    }

    /// Returns the leaves that the step changes.
    pub(super) fn changed(&self) -> LeafSet {
        let leaves = match self {
            Self::Change(change) => change.revised.as_ref().map_or(&[][..], |revised| &revised.leaves),
            Self::Merged(run) => run.leaves(),
        };
        leaves.iter().map(|(leaf, _)| *leaf).collect()
    }

    /// Returns the leaves that the event wrote which is the cause of the step's revision.
    pub(super) fn written(&self) -> LeafSet {
        let (events, cause) = match self {
            Self::Change(change) => (change.event.as_slice(), change.cause()),
            Self::Merged(run) => (run.events(), run.cause.clone()),
        };
        let (Cause::Feed { source, event_id } | Cause::Person { source, event_id, .. }) = cause else {
            return LeafSet::EMPTY;
        };
        let events = events.iter().filter(|event| event.source == source && event.id == event_id);
        let writes = events.flat_map(|event| &event.writes);
        writes.fold(LeafSet::EMPTY, |leaves, write| leaves.or(write.path.leaves()))
    }

    /// Returns why the revision of the step was made.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Change(change) => change.cause(),
            Self::Merged(run) => run.cause.clone(),
        }
    }

    /// Returns the origin of the revision that the step makes; `None` if it makes none.
    pub(super) fn origin(&self) -> Option<RevisionOrigin> {
        let (revision, generated_at) = (self.revision()?, self.generated_at()?);
        Some(RevisionOrigin { revision, generated_at, cause: self.cause(), dropped: self.dropped() })
    }
}

impl BlockRecord<'_> {
    /// Returns the origin of the revision that the record made; `None` if it made none.
    ///
    /// # Errors
    /// The record is not a step of this format.
    pub fn origin(self) -> Result<Option<RevisionOrigin>, DecodeError> {
        Ok(HistoryStep::decode(self)?.origin())
    }
}
