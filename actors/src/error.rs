//! Errors of requests to the live state.

/// A limit is reached, or a commit failed. The request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system is busy: try again")]
pub struct Busy;

/// Why a read has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No profile with this id is visible to this viewer. Nothing shows whether the user exists.
    #[error("the user is not known")]
    Unknown,
    /// The user was erased. Viewers from whom existence may be hidden get [`Self::Unknown`] instead.
    #[error("the user was erased")]
    Erased,
    /// A limit is reached. The read may be sent again.
    #[error("the system is busy: try again")]
    Busy,
    /// The user's stored state could not be read, or no answer could be made from it.
    #[error("the user's state could not be read")]
    Unavailable,
    /// The answer would take longer to make than a reader may take.
    #[error("the answer takes too long to make")]
    TooLong,
}

impl From<Busy> for ReadError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// Why a citizen's own write was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The write was not taken, or the fate of its commit is unknown. Sending it again is safe.
    #[error("the write was not acknowledged: send it again")]
    Busy,
    /// The citizen was erased.
    #[error("the user was erased")]
    Erased,
}
