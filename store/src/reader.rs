//! The reading end: what an actor is hydrated from.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError, Stored};

use crate::shared::{Loaded, Shared};

/// Reads users from journal and checkpoints together.
pub(crate) struct Reader(pub(crate) Arc<Shared>);

impl ProfileStore for Reader {
    fn load(&self, user: &UserId) -> Result<Option<Stored>, StoreError> {
        let loaded = self.0.load(&self.0.hasher.hash(user))?;
        Ok(loaded.map(|Loaded { generation, sequence, body, frames, .. }| Stored {
            generation,
            sequence,
            state: body.map(|body| body.state),
            frames,
        }))
    }
}
