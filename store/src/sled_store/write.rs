//! What a checkpoint writes: the users it folded, and the reading of a user's history.

use domain::port::store::StoreError;

use super::record::SealedRecord;
use super::{Part, SledStore, chunk_key, part_prefix, read, unavailable};
use crate::user_hash::UserHash;

/// One user's parts as they are stored.
pub(crate) struct Parts {
    pub(crate) state: Option<SealedRecord>,
    pub(crate) tail: Option<SealedRecord>,
}

/// One user after a fold.
pub(crate) struct FoldedUser {
    pub(crate) user: UserHash,
    pub(crate) state: SealedRecord,
    /// `None` when no history block is open.
    pub(crate) tail: Option<SealedRecord>,
    pub(crate) closed: Vec<SealedRecord>,
    /// What stands in sled for this user until now.
    pub(crate) before: Parts,
}

impl SledStore {
    /// Reads what a fold starts from. Only the checkpoint writes these, so the two parts fit together.
    pub(crate) fn parts(&self, user: &UserHash) -> Result<Parts, StoreError> {
        let parts = Parts { state: self.record(user, Part::State)?, tail: self.record(user, Part::HistoryTail)? };
        let (state, tail) = (&parts.state, &parts.tail);
        match tail {
            Some(tail) if state.as_ref().is_none_or(|state| state.number != tail.number) => {
                Err(StoreError::Damaged { what: format!("the history of slot {}: it is not its state's", tail.slot) })
            }
            _ => Ok(parts),
        }
    }

    /// Writes users that were folded. Nothing of it counts before a flush.
    ///
    /// Closed blocks come first: they never change, so a fold that is done again after a crash writes the same ones.
    /// State and open history of a user change in one batch, or not at all.
    pub(crate) fn write(&self, users: &[FoldedUser]) -> sled::Result<()> {
        let (mut history, mut states) = (sled::Batch::default(), sled::Batch::default());
        let mut any_closed = false;
        for folded in users {
            for block in &folded.closed {
                any_closed = true;
                put(&mut history, &history_prefix(&folded.user, block.number), Some(block), None);
            }
            let FoldedUser { user, state, tail, before, .. } = folded;
            put(&mut states, &part_prefix(user, Part::State), Some(state), before.state.as_ref());
            put(&mut states, &part_prefix(user, Part::HistoryTail), tail.as_ref(), before.tail.as_ref());
        }
        self.with(|trees| {
            if any_closed {
                trees.history.apply_batch(history)?;
            }
            trees.states.apply_batch(states)
        })
    }

    /// A user's closed history blocks, oldest first, sealed.
    pub(crate) fn history(&self, user: &UserHash) -> Result<Vec<SealedRecord>, StoreError> {
        let collect = |tree: &sled::Tree| {
            let mut blocks: Vec<SealedRecord> = Vec::new();
            for key in tree.scan_prefix(user.0).keys() {
                let key = key.map_err(unavailable)?;
                // A key is the block's prefix and a chunk's number; the block is read at its first chunk.
                if let Some((prefix, [0, 0])) = key.split_last_chunk() {
                    blocks.extend(read(tree, prefix)?);
                }
            }
            Ok(blocks)
        };
        self.with(|trees| Ok(collect(&trees.history))).map_err(unavailable)?
    }
}

fn history_prefix(user: &UserHash, first_revision: u64) -> Vec<u8> {
    [&user.0[..], &first_revision.to_be_bytes()].concat()
}

/// Puts a record in place of `before`, which may have had more chunks.
fn put(batch: &mut sled::Batch, prefix: &[u8], record: Option<&SealedRecord>, before: Option<&SealedRecord>) {
    let chunks = record.map(SealedRecord::chunks).unwrap_or_default();
    for number in chunks.len() as u16..before.map_or(0, SealedRecord::count) {
        batch.remove(chunk_key(prefix, number));
    }
    for (number, chunk) in (0..).zip(chunks) {
        batch.insert(chunk_key(prefix, number), chunk);
    }
}
