//! The journal as a log: what followers read, in the order in which it became durable.

use super::store::StoreError;
use crate::id::UserId;

/// A place between two frames. Places grow with the log and keep their meaning over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition(pub u64);

/// A frame of the journal, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The place right before the frame: reading from it repeats the frame.
    pub at: LogPosition,
    /// The place right behind the frame.
    pub next: LogPosition,
    /// The place where the frame lay when it became durable, which is `at` unless start-up has moved it. In this order
    /// frames became durable.
    pub origin: LogPosition,
    /// The user's own count of frames.
    pub sequence: u64,
    /// The sequence of the user's newest frame.
    pub newest: u64,
    /// The frame's content, opened.
    pub body: Vec<u8>,
}

/// Some frames in a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBatch {
    /// The frames, oldest first.
    pub entries: Vec<LogEntry>,
    /// Frames between them whose seal does not open any more.
    pub sealed: u64,
    /// Where reading goes on.
    pub next: LogPosition,
}

/// Reads the journal from any place on that is still kept. Blocks: call it on a thread that may.
pub trait EventLog: Send + Sync {
    /// Returns the position after the newest durable frame.
    fn end(&self) -> LogPosition;

    /// Returns the position before the oldest retained frame.
    fn oldest(&self) -> LogPosition;

    /// Reads frames from `from` on, none of which reaches beyond `up_to`: about `max_bytes` of them, and one at least
    /// where there is one.
    ///
    /// A position in a part that start-up cut off continues at the first copied frame. So reading on may repeat frames
    /// and never skips one.
    ///
    /// # Errors
    /// The place is not kept any more, or never was one, or could not be read.
    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError>;

    /// Returns the sequence of a user's newest durable frame; 0 for a user without frames.
    ///
    /// # Errors
    /// The store could not be read.
    fn newest(&self, user: &UserId) -> Result<u64, StoreError>;
}

/// A read of the log that failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The frames after the position have been deleted.
    #[error("the log is not kept that far back")]
    Gone {
        /// The oldest place that can be read from.
        oldest: LogPosition,
    },
    /// Nothing was ever written at the position.
    #[error("the log has no such place")]
    Nowhere,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
