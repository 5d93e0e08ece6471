//! Points in a user's history, and why one cannot be read.

/// A point in a user's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryPoint {
    /// The revision with this number.
    Revision(u64),
    /// The last revision that was generated at this instant or before it, in microseconds since the Unix epoch.
    AsOf(i64),
    /// The revision of the snapshot with this id, which begins with `snap_`.
    Snapshot(String),
}

/// Why a point of a user who is visible cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// The user has no such revision, or none at the instant.
    #[error("there is no such revision")]
    UnknownRevision,
    /// The user has no such snapshot.
    #[error("there is no such snapshot")]
    UnknownSnapshot,
    /// The instant is in the future, when another revision may have come.
    #[error("the instant is in the future")]
    Future,
    /// History does not reach back to the point.
    #[error("history does not reach back to this point")]
    Gone {
        /// The earliest instant from which history goes on, in microseconds since the Unix epoch.
        retained_from: i64,
    },
}
