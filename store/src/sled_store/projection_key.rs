//! Which slot of the keyring has the key of the saved projection, a value in sled:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       4  slot of the key
//!      4       4  slot of the key before + 1, if that is still to be destroyed; 0 if not
//! ```

use super::SledStore;
use crate::bytes::{put, u32_at};

const KEY: &[u8] = b"projection key";
const BYTES: usize = 8;
const REPLACED_AT: usize = 4;

/// The slot of the saved projection's key. Its generation is the first: the key is replaced by one in another slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProjectionKey {
    pub(crate) slot: u32,
    /// The slot of the key before, which is to be destroyed.
    pub(crate) replaced: Option<u32>,
}

impl SledStore {
    /// Returns the slot of the projection's key; `None` if it has none yet.
    pub(crate) fn projection_key(&self) -> sled::Result<Option<ProjectionKey>> {
        let bytes = self.with(|trees| trees.meta.get(KEY))?;
        Ok(bytes.filter(|bytes| bytes.len() == BYTES).map(|bytes| ProjectionKey {
            slot: u32_at(&bytes, 0),
            replaced: u32_at(&bytes, REPLACED_AT).checked_sub(1),
        }))
    }

    /// Returns the value that says it, for a backup.
    pub(crate) fn projection_key_value(&self) -> sled::Result<Option<Vec<u8>>> {
        self.with(|trees| trees.meta.get(KEY)).map(|value| value.map(|value| value.to_vec()))
    }

    /// Sets the value that says it, from a backup. Durable after the next flush.
    pub(crate) fn put_projection_key_value(&self, value: &[u8]) -> sled::Result<()> {
        self.with(|trees| trees.meta.insert(KEY, value).map(|_| ()))
    }

    /// Sets the slot of the projection's key, durable when it returns.
    pub(crate) fn set_projection_key(&self, key: ProjectionKey) -> sled::Result<()> {
        let mut bytes = [0; BYTES];
        put(&mut bytes, 0, &key.slot.to_le_bytes());
        put(&mut bytes, REPLACED_AT, &key.replaced.map_or(0, |slot| slot + 1).to_le_bytes());
        self.with(|trees| {
            trees.meta.insert(KEY, &bytes)?;
            trees.db.flush().map(|_| ())
        })
    }
}
