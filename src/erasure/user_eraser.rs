//! What ends a generation of a user: the live state.

use std::future::Future;
use std::pin::Pin;

use actors::{EraseError, Profiles};
use domain::erasure::ErasureReason;
use domain::id::UserId;
use domain::port::erasure::ErasedUser;

/// An erasure that is under way.
pub(crate) type Erasing<'a> = Pin<Box<dyn Future<Output = Result<ErasedUser, EraseError>> + Send + 'a>>;

/// Ends a generation of a user.
pub(crate) trait EraseUser: Send + Sync {
    /// Erases the user's present generation. The tombstone is durable when this resolves. For a user who is erased already it is
    /// the tombstone that there is.
    ///
    /// # Errors
    /// The tombstone may not be durable, or there is no such user.
    fn erase(&self, user: UserId, reason: ErasureReason) -> Erasing<'_>;
}

impl EraseUser for Profiles {
    fn erase(&self, user: UserId, reason: ErasureReason) -> Erasing<'_> {
        // The method of the same name.
        Box::pin(Self::erase(self, user, reason))
    }
}
