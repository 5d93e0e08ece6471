//! Erasing a user: the live state's part of it.

use domain::erasure::ErasureReason;
use domain::id::UserId;
use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;

use std::sync::Arc;

use crate::error::ReadError;
use crate::request::{Erase, Request};
use crate::runtime::Runtime;

/// Why a user was not erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// There is no such user.
    #[error("the user is not known")]
    Unknown,
    /// A limit is reached, or the fate of the commit is unknown. Sending the request again is safe.
    #[error("the system is busy: try again")]
    Busy,
    /// The user's stored state could not be read.
    #[error("the user's state could not be read")]
    Unavailable,
}

impl Runtime {
    /// Ends the present generation of a user. The tombstone is durable when this returns, and no read of the generation is
    /// answered any more. A user who is erased already stays as it is.
    pub(crate) async fn erase(&self, user: UserId, reason: ErasureReason) -> Result<ErasedUser, EraseError> {
        let asked = self.ask(user, |answer| Request::Erase(Erase { reason, answer })).await;
        asked.map_err(|error| match error {
            ReadError::Unknown | ReadError::Erased => EraseError::Unknown,
            ReadError::Busy | ReadError::TooLong => EraseError::Busy,
            ReadError::Unavailable => EraseError::Unavailable,
        })
    }
}

/// What the live state keeps of users in memory beside their actors: views that are ready to send, and the profiles that
/// followers read.
pub(crate) struct LiveMemory(pub(crate) Arc<Runtime>);

impl ErasureParticipant for LiveMemory {
    fn name(&self) -> &'static str {
        "live state"
    }

    /// Drops what is cached of the user. Called after the user's key was destroyed, so that nothing comes back.
    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        self.0.services.cache.forget(&erased.user);
        self.0.followers.forget(&erased.user);
        Ok(())
    }
}
