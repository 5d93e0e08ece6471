//! Writing folded users.

use domain::port::store::SideKey;

use super::record::SealedRecord;
use super::side_records::prefix;
use super::tree::{ReadableTree, StoredTree, TreeBatch};
use super::{SledStore, chunk_key};
use crate::user_hash::UserHash;

/// One user after a fold, or after its history was thinned.
pub(crate) struct FoldedUser {
    pub(crate) user: UserHash,
    /// The state; `None` if it stays as it is.
    pub(crate) record: Option<SealedRecord>,
    /// The record of the state that it replaces.
    pub(crate) before: Option<SealedRecord>,
    /// The side records that are new or changed.
    pub(crate) put: Vec<(SideKey, SealedRecord)>,
    /// The side records that no longer exist.
    pub(crate) remove: Vec<SideKey>,
}

impl FoldedUser {
    fn bytes(&self) -> usize {
        let side_records = self.put.iter().map(|(_, record)| record.sealed.len());
        self.record.as_ref().map_or(0, |record| record.sealed.len()) + side_records.sum::<usize>()
    }
}

impl SledStore {
    /// Writes users that were folded, and returns how many bytes they have. Durable after the next flush.
    ///
    /// States and side records are in two trees, so that states can be read without the rest. They change in one
    /// transaction, whose parts sled recovers all or none after a crash: a state and its history always fit together.
    pub(crate) fn write(&self, users: &[FoldedUser]) -> sled::Result<usize> {
        self.with(|trees| {
            let (states, records) = batches(&trees.records, users)?;
            StoredTree::apply_together(&[(&trees.users, &states), (&trees.records, &records)])
        })?;
        Ok(users.iter().map(FoldedUser::bytes).sum())
    }
}

/// Returns the changes of the states of users, and those of their side records, which are in the tree `side_records`.
fn batches(side_records: &ReadableTree, users: &[FoldedUser]) -> sled::Result<(TreeBatch, TreeBatch)> {
    let (mut states, mut records) = (TreeBatch::default(), TreeBatch::default());
    for user in users {
        add(user, side_records, &mut states, &mut records)?;
    }
    Ok((states, records))
}

/// Adds the changes of a user to those of the states and of the side records, which are in the tree `side_records`.
pub(super) fn add(
    user: &FoldedUser,
    side_records: &ReadableTree,
    states: &mut TreeBatch,
    records: &mut TreeBatch,
) -> sled::Result<()> {
    let FoldedUser { user, record, before, put: changed, remove } = user;
    if let Some(record) = record {
        put(states, &user.0, record, before.as_ref().map_or(0, SealedRecord::count));
    }
    for (key, record) in changed {
        let prefix = prefix(user, *key);
        let before = count(side_records, &prefix)?;
        put(records, &prefix, record, before);
    }
    for key in remove {
        let prefix = prefix(user, *key);
        (0..count(side_records, &prefix)?).for_each(|number| records.remove(chunk_key(&prefix, number)));
    }
    Ok(())
}

/// Returns the number of values of the record whose keys start with `prefix`; 0 if there is none.
fn count(tree: &ReadableTree, prefix: &[u8]) -> sled::Result<u16> {
    let first = tree.get(chunk_key(prefix, 0))?;
    Ok(first.and_then(|first| SealedRecord::chunk_count(&first)).unwrap_or(0))
}

/// Puts a record in place of one that had `before` values.
fn put(batch: &mut TreeBatch, prefix: &[u8], record: &SealedRecord, before: u16) {
    let chunks = record.chunks();
    for number in chunks.len() as u16..before {
        batch.remove(chunk_key(prefix, number));
    }
    for (number, chunk) in (0..).zip(chunks) {
        batch.insert(chunk_key(prefix, number), chunk);
    }
}
