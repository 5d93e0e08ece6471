//! A user's history, as far as checkpoints have folded it.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{HistoryBlock, StoreError};

use crate::seal::kind;
use crate::shared::Shared;

/// Reads history blocks.
pub struct HistoryReader(pub(crate) Arc<Shared>);

/// The folded history of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The full blocks, oldest first.
    pub closed: Vec<HistoryBlock>,
    /// The open block's body; empty when there is none. When a checkpoint closes it during the read, it may be among
    /// `closed`, too; it is never in neither.
    pub tail: Vec<u8>,
}

impl HistoryReader {
    /// Reads all blocks of a user.
    ///
    /// # Errors
    /// The stored bytes could not be read, or are not what was written.
    pub fn read(&self, user: &UserId) -> Result<History, StoreError> {
        let shared = &*self.0;
        let hash = shared.hasher.hash(user);
        let mut history = History::default();
        if let Some(record) = shared.sled.user(&hash)? {
            let cipher = shared.cipher(record.slot, record.generation)?;
            history.tail = shared.sled.open_user(&cipher, &record)?.tail;
        }
        for block in shared.sled.history(&hash)? {
            let cipher = shared.cipher(block.slot, block.generation)?;
            let body = shared.sled.open_record(&cipher, kind::HISTORY_BLOCK, &block)?;
            history.closed.push(HistoryBlock { first_revision: block.number, body });
        }
        Ok(history)
    }
}
