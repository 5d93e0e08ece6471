//! The ports of erasure: where a user's records are, and who has to forget the user.

use super::journal::RowId;
use super::store::StoreError;
use crate::erasure::Tombstone;
use crate::id::UserId;

/// What the store knows of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredUser {
    /// The user has a profile.
    Living {
        /// The user's row, which is the slot of the user's key.
        row: RowId,
        /// The erasure generation, from 1.
        generation: u32,
    },
    /// The user was erased.
    Erased {
        /// The user's row.
        row: RowId,
        /// What remains.
        tombstone: Tombstone,
    },
}

/// Finds users without reading their data. Blocks.
pub trait UserDirectory: Send + Sync {
    /// Returns what the store knows of a user; `None` for a user who was never seen. A user whose records are damaged is found,
    /// too.
    ///
    /// # Errors
    /// The store could not be read.
    fn find(&self, user: &UserId) -> Result<Option<StoredUser>, StoreError>;
}

/// A user whose tombstone is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedUser {
    /// The user.
    pub user: UserId,
    /// The user's row.
    pub row: RowId,
    /// What remains.
    pub tombstone: Tombstone,
}

/// Keeps something of users, and forgets a user when asked to.
///
/// An erasure asks one participant after the other, after the tombstone is durable. After a crash it asks all of them again,
/// so forgetting a user who is forgotten already does nothing.
pub trait ErasureParticipant: Send + Sync {
    /// Returns the participant's name, for the log.
    fn name(&self) -> &'static str;

    /// Forgets everything of the user's generation and the generations before it. What is durable of it cannot be read any
    /// more when it returns. Blocks.
    ///
    /// # Errors
    /// Something may be left. The erasure is not finished and asks again later.
    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError>;
}
