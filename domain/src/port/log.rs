//! The journal as a log: what followers read, in the order in which it became durable.

use super::journal::Record;
use super::store::StoreError;
use crate::id::UserId;

/// A position between two frames. Positions grow with the log and keep their meaning over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition(pub u64);

/// A frame of the journal, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The position right before the frame: reading from it repeats the frame.
    pub at: LogPosition,
    /// The position right after the frame.
    pub next: LogPosition,
    /// The position of the frame when it became durable, which is `at` unless start-up has moved it. Frames became
    /// durable in the order of their origins.
    pub origin: LogPosition,
    /// The user's newest frame.
    pub newest: NewestRecord,
    /// The frame's content.
    pub record: Record,
}

/// What is known of a user's newest durable frame. The default is that of a user without frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewestRecord {
    /// Its sequence.
    pub sequence: u64,
    /// The newest generation of the user that was erased; 0 if none was.
    pub erased: u32,
}

/// Consecutive frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBatch {
    /// The frames, oldest first.
    pub entries: Vec<LogEntry>,
    /// Number of frames between them that can no longer be decrypted.
    pub sealed: u64,
    /// The position from which the next read continues.
    pub next: LogPosition,
}

/// Reads the journal from any retained position on. Blocks, so it must be called on a thread that may block.
pub trait EventLog: Send + Sync {
    /// Returns the position after the newest durable frame.
    fn end(&self) -> LogPosition;

    /// Returns the position before the oldest retained frame.
    fn oldest(&self) -> LogPosition;

    /// Reads frames from `from` on, none of which extends beyond `up_to`: about `max_bytes` of them, and at least one
    /// if there is one.
    ///
    /// A position in a part that start-up cut off continues at the first copied frame. So reading on may repeat frames
    /// and never skips one.
    ///
    /// # Errors
    /// The position is no longer retained, never existed, or could not be read.
    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError>;

    /// Returns what is known of a user's newest durable frame.
    ///
    /// # Errors
    /// The store could not be read.
    fn newest(&self, user: &UserId) -> Result<NewestRecord, StoreError>;
}

/// A read of the log that failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The frames after the position have been deleted.
    #[error("the log is not kept that far back")]
    Gone {
        /// The oldest position that can be read from.
        oldest: LogPosition,
    },
    /// Nothing was ever written at the position.
    #[error("the log has no such place")]
    Nowhere,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
