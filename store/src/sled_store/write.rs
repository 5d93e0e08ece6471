//! Writing folded users, and reading a user's history.

use domain::port::store::StoreError;

use super::record::SealedRecord;
use super::{SledStore, chunk_key, read, unavailable};
use crate::user_hash::UserHash;

/// One user after a fold.
pub(crate) struct FoldedUser {
    pub(crate) user: UserHash,
    /// The state and the open history block.
    pub(crate) record: SealedRecord,
    /// The history blocks that this fold closed.
    pub(crate) closed: Vec<SealedRecord>,
    /// The record that it replaces.
    pub(crate) before: Option<SealedRecord>,
}

impl SledStore {
    /// Writes users that were folded. Durable after the next flush.
    ///
    /// Closed blocks come first. They never change, so a fold that is repeated after a crash writes the same blocks again.
    pub(crate) fn write(&self, users: &[FoldedUser]) -> sled::Result<()> {
        let (mut history, mut records) = (sled::Batch::default(), sled::Batch::default());
        let mut any_closed = false;
        for FoldedUser { user, record, closed, before } in users {
            for block in closed {
                any_closed = true;
                put(&mut history, &history_prefix(user, block.number), block, None);
            }
            put(&mut records, &user.0, record, before.as_ref());
        }
        self.with(|trees| {
            if any_closed {
                trees.history.apply_batch(history)?;
            }
            trees.users.apply_batch(records)
        })
    }

    /// Returns the keys of a user's closed history blocks that may hold a revision after `since`, oldest first.
    pub(crate) fn history(&self, user: &UserHash, since: u64) -> Result<Vec<HistoryKey>, StoreError> {
        let collect = |tree: &sled::Tree| {
            // The block before the first one that starts after `since` may also hold later revisions.
            let upper = history_prefix(user, since.saturating_add(1));
            let before = tree.range(&user.0[..]..=&chunk_key(&upper, u16::MAX)[..]).keys().next_back();
            let first = match before.transpose().map_err(unavailable)? {
                Some(key) => key.split_last_chunk::<2>().map_or_else(Vec::new, |(prefix, _)| prefix.to_vec()),
                None => upper,
            };
            let mut blocks = Vec::new();
            for key in tree.range(first..).keys() {
                let key = key.map_err(unavailable)?;
                if !key.starts_with(&user.0) {
                    break;
                }
                // A key is the prefix of the block and the number of a chunk. Chunk 0 stands for the block.
                if let Some((prefix, [0, 0])) = key.split_last_chunk() {
                    blocks.extend(prefix.try_into().map(HistoryKey));
                }
            }
            Ok(blocks)
        };
        self.with(|trees| Ok(collect(&trees.history))).map_err(unavailable)?
    }

    /// Returns a closed history block, sealed.
    pub(crate) fn history_block(&self, user: &UserHash, key: &HistoryKey) -> Result<Option<SealedRecord>, StoreError> {
        self.with(|trees| Ok(read(&trees.history, &key.0, *user))).map_err(unavailable)?
    }
}

/// Names a history block in sled: the hash of its user and its first revision.
pub(crate) struct HistoryKey([u8; 24]);

fn history_prefix(user: &UserHash, first_revision: u64) -> Vec<u8> {
    [&user.0[..], &first_revision.to_be_bytes()].concat()
}

/// Puts a record in place of `before`, which may have had more chunks.
fn put(batch: &mut sled::Batch, prefix: &[u8], record: &SealedRecord, before: Option<&SealedRecord>) {
    let chunks = record.chunks();
    for number in chunks.len() as u16..before.map_or(0, SealedRecord::count) {
        batch.remove(chunk_key(prefix, number));
    }
    for (number, chunk) in (0..).zip(chunks) {
        batch.insert(chunk_key(prefix, number), chunk);
    }
}
