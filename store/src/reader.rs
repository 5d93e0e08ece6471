//! The reading end: what an actor is hydrated from, and history.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{LoadVisitor, ProfileStore, StoreError};

use crate::engine::Engine;

/// Reads users from journal and checkpoints together.
pub(crate) struct ProfileReader(pub(crate) Arc<Engine>);

impl ProfileStore for ProfileReader {
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
        self.0.checkpoint_trigger.unfolded()
    }
}
