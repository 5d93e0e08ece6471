//! The port for rejected events.

use crate::id::UserId;

/// A rejected event, kept for its engine to look at.
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
    /// When it was rejected, in microseconds since the Unix epoch.
    pub rejected_at: i64,
}

/// Keeps dead letters.
pub trait DeadLetters: Send + Sync {
    /// Keeps one, best effort: it never blocks, and drops (with a count in the metrics) when its queue is full.
    fn keep(&self, letter: DeadLetter);
}
