//! Erasing a user, which makes the last record of a generation.

use domain::erasure::ErasureReason;
use domain::port::erasure::ErasedUser;
use tokio::sync::oneshot;

use crate::error::ReadError;

/// Ends the present generation of a user. Answered when that is durable, and at once if it is erased already.
#[derive(Debug)]
pub(crate) struct Erase {
    pub(crate) reason: ErasureReason,
    pub(crate) answer: oneshot::Sender<Result<ErasedUser, ReadError>>,
}
