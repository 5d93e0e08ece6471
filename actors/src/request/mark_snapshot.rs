//! Taking and removing snapshots, which makes a record without a revision.

use std::sync::Arc;

use domain::snapshot::{SnapshotMark, SnapshotTrigger};
use domain::state::UserState;
use tokio::sync::oneshot;

use crate::error::ReadError;

/// Has a user's records say something about snapshots. Answered when that is durable. The user must exist.
#[derive(Debug)]
pub(crate) struct MarkSnapshot {
    pub(crate) order: SnapshotOrder,
    pub(crate) answer: oneshot::Sender<Result<MarkedState, ReadError>>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotOrder {
    /// Take a snapshot of the newest revision.
    Take(SnapshotTrigger),
    /// Note that a snapshot was removed.
    Remove(SnapshotMark),
}

/// A mark that is durable, and the state at its record.
#[derive(Debug)]
pub(crate) struct MarkedState {
    pub(crate) state: Arc<UserState>,
    pub(crate) mark: SnapshotMark,
}
