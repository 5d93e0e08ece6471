//! The reading end: what an actor is hydrated from, and history.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{LoadVisitor, ProfileStore, StoreError};

use crate::shared::Shared;

/// Reads users from journal and checkpoints together.
pub(crate) struct Reader(pub(crate) Arc<Shared>);

impl ProfileStore for Reader {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<u64>, StoreError> {
        self.0.load(&self.0.hasher.hash(user), None, visitor)
    }

    fn load_history(
        &self,
        user: &UserId,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<u64>, StoreError> {
        self.0.load(&self.0.hasher.hash(user), Some(since), visitor)
    }

    fn unfolded_bytes(&self) -> u64 {
        self.0.bell.unfolded()
    }
}
