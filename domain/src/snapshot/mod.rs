//! Snapshots: revisions of a profile that stay reachable when history is thinned.
//!
//! The last revision of each calendar day is a snapshot by definition. It is not stored, and its id is derived. Snapshots that
//! somebody asked for, and the removal of daily ones, are marks in the user's records.

mod id;
mod list;

pub use id::{InvalidSnapshotId, SnapshotId};
pub use list::{DailyPoint, Snapshot, SnapshotMarks, SnapshotPeriods, daily_snapshots, snapshots};

use crate::named_enum;

named_enum! {
    /// Why a snapshot exists. The number is stored: never reuse one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(u8)]
    pub enum SnapshotTrigger {
        /// It is the last revision of its day. Never stored.
        Daily = 0 => "daily",
        /// Somebody asked for it.
        Manual = 1 => "manual",
        /// Somebody asked for an assembly, and for a snapshot of its result.
        Assemble = 2 => "assemble",
    }
}

impl SnapshotTrigger {
    /// Returns the trigger that is stored under a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A snapshot that somebody asked for, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedSnapshot {
    /// The id.
    pub id: SnapshotId,
    /// The revision.
    pub revision: u64,
    /// When it was taken, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// When it may be removed, in microseconds since the Unix epoch.
    pub expires_at: i64,
    /// Why it was taken. Never [`SnapshotTrigger::Daily`].
    pub trigger: SnapshotTrigger,
}

/// What a record says about the snapshots of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMark {
    /// A snapshot was taken of the revision that the user has at the record.
    Taken(RequestedSnapshot),
    /// The snapshot that was taken by the record with this sequence was removed.
    Removed {
        /// The sequence of the record that took it.
        taken: u64,
    },
    /// The daily snapshot of a revision was removed.
    DailyRemoved {
        /// The revision.
        revision: u64,
        /// When the revision was generated, in microseconds since the Unix epoch.
        generated_at: i64,
    },
}
