//! The port for rejected events.

use crate::id::UserId;

/// A rejected event, kept so that the operators of its source can inspect it.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The `{source}` of the path that the event was posted to.
    pub source: String,
    /// The subject, where it could be read and parsed.
    pub user: Option<UserId>,
    /// The event's id and type, where they could be read.
    pub event_id: Option<String>,
    /// The event's type, where it could be read.
    pub event_type: Option<String>,
    /// The problem type's name.
    pub problem: String,
    /// Where in the event the fault is, as a JSON Pointer.
    pub pointer: Option<String>,
    /// The event as it was sent; absent where a value looks like class RED.
    pub body: Option<Vec<u8>>,
    /// When it was rejected, in microseconds since the Unix epoch. A store with its own clock replaces it by that
    /// clock's time, because letters are kept for a number of days.
    pub rejected_at: i64,
}

/// Why a dead letter is not kept. The answer to the event names the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterDropped {
    /// The letters of the source have reached their bound of bytes.
    #[error("the dead letters of this source have reached their bound")]
    SourceLimit,
    /// All letters together have reached their bound of bytes.
    #[error("all dead letters together have reached their bound")]
    TotalLimit,
    /// The queue of letters that wait to be written is full.
    #[error("more events were rejected than dead letters can be written")]
    QueueLimit,
    /// The server is stopping.
    #[error("the server is stopping")]
    Closing,
}

impl LetterDropped {
    /// Returns the name in answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceLimit => "source-limit",
            Self::TotalLimit => "total-limit",
            Self::QueueLimit => "queue-limit",
            Self::Closing => "closing",
        }
    }
}

/// The port that keeps rejected events.
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter. It never waits.
    ///
    /// # Errors
    /// The letter is not kept, and why.
    fn keep(&self, letter: DeadLetter) -> Result<(), LetterDropped>;
}
