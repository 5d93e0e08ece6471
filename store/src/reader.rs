//! The reading end: what an actor is hydrated from, and history.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError, Stored, StoredHistory};

use crate::shared::{Loaded, Shared};

/// Reads users from journal and checkpoints together.
pub(crate) struct Reader(pub(crate) Arc<Shared>);

impl ProfileStore for Reader {
    fn load(&self, user: &UserId) -> Result<Option<Stored>, StoreError> {
        let loaded = self.0.load(&self.0.hasher.hash(user))?;
        Ok(loaded.map(|loaded| split(loaded).0))
    }

    fn load_history(&self, user: &UserId, since: u64) -> Result<Option<StoredHistory>, StoreError> {
        let found = self.0.load_history(&self.0.hasher.hash(user), since)?;
        Ok(found.map(|(loaded, blocks)| {
            let (stored, tail) = split(loaded);
            StoredHistory { stored, blocks, tail }
        }))
    }
}

/// What hydration needs, and the open history block.
fn split(loaded: Loaded) -> (Stored, Vec<u8>) {
    let Loaded { generation, sequence, body, frames } = loaded;
    let (state, tail) = body.map(|body| (body.state, body.tail)).unzip();
    (Stored { generation, sequence, state, frames }, tail.unwrap_or_default())
}
