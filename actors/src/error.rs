//! What asking for something can come to, besides the answer.

/// A bounded part of the system is full, or a commit failed. What was asked may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system is busy: try again")]
pub struct Busy;

/// A read that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody by that id, or nobody whom this viewer may know of: the two are told apart nowhere.
    #[error("the user is not known")]
    Unknown,
    /// A bounded part of the system is full.
    #[error("the system is busy: try again")]
    Busy,
    /// The user's stored state could not be read.
    #[error("the user's state could not be read")]
    Unavailable,
}

impl From<Busy> for ReadError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// A write of the server's own making that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Not taken, or after a failed commit of unknown fate: sending it again is safe.
    #[error("the write was not acknowledged: send it again")]
    Busy,
}
