//! The port of what decides which revisions of a user's history are kept.

use super::store::{SideChanges, SideKey, SideKind, StoreError};

/// The side records of one user, while nothing else changes them.
pub trait SideRecords {
    /// Returns the keys of a kind, ascending.
    ///
    /// # Errors
    /// The store could not be read.
    fn keys(&self, kind: SideKind) -> Result<Vec<SideKey>, StoreError>;

    /// Returns the body of a side record; `None` if there is none.
    ///
    /// # Errors
    /// The store could not be read, or the bytes are not what was written.
    fn read(&self, key: SideKey) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Decides what is kept of a user's history.
pub trait HistoryRetention: Send + Sync {
    /// Returns whether a user's history may have something to remove at `now`, in microseconds since the Unix epoch. `note`
    /// is the body of the user's side record [`SideKind::RETENTION`].
    fn is_due(&self, note: Option<&[u8]>, now: i64) -> bool;

    /// Returns the changes after which the history has what is kept at `now`, in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// The store could not be read, or the history is damaged. Nothing is to be changed then.
    fn thin(&self, records: &dyn SideRecords, now: i64) -> Result<SideChanges, StoreError>;
}
