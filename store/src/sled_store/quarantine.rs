//! The quarantine in sled: sealed frames that a checkpoint could not fold, by user and sequence. Sequences begin with 1; under 0
//! is a note of why and since when.

use std::collections::{BTreeMap, HashSet};

use domain::port::store::StoreError;
use parking_lot::RwLock;

use super::record::MAX_VALUE_BYTES;
use super::tree::{ReadableTree, StoredTree, TreeBatch};
use super::write::{FoldedUser, add};
use super::{SledStore, chunk_key, unavailable};
use crate::quarantine::QuarantineNote;
use crate::user_hash::UserHash;

/// The sequence under which the note is stored.
const NOTE: u64 = 0;
const USER_BYTES: usize = 16;
const PREFIX_BYTES: usize = USER_BYTES + 8;

/// What the quarantine holds of a user.
#[derive(Default)]
pub(crate) struct QuarantinedUser {
    /// Why and since when; `None` if an earlier release has put the user there.
    pub(crate) note: Option<Vec<u8>>,
    /// The bytes of each frame, by sequence; 0 for one that could not be read.
    pub(crate) frames: BTreeMap<u64, usize>,
}

/// The users in quarantine, in memory because every load asks.
#[derive(Default)]
pub(super) struct Quarantined(RwLock<HashSet<UserHash>>);

impl Quarantined {
    /// Reads the users from the tree.
    pub(super) fn read(tree: &ReadableTree) -> sled::Result<Self> {
        let mut users = HashSet::new();
        for key in tree.iter().keys() {
            users.extend(key?.first_chunk().copied().map(UserHash));
        }
        Ok(Self(RwLock::new(users)))
    }
}

impl SledStore {
    /// Stores a frame. Durable after the next flush.
    pub(crate) fn quarantine_frame(&self, user: &UserHash, sequence: u64, frame: &[u8]) -> sled::Result<()> {
        let prefix = prefix(user, sequence);
        let mut batch = TreeBatch::default();
        // A frame that could not be read leaves an empty value, which still marks the user.
        batch.insert(chunk_key(&prefix, 0), &frame[..frame.len().min(MAX_VALUE_BYTES)]);
        for (number, chunk) in (0..).zip(frame.chunks(MAX_VALUE_BYTES)).skip(1) {
            batch.insert(chunk_key(&prefix, number), chunk);
        }
        self.with(|trees| trees.quarantine.apply_batch(batch))
    }

    /// Stores why a user is in quarantine, unless that is known. Durable after the next flush.
    pub(crate) fn note_quarantine(&self, user: &UserHash, note: &[u8]) -> sled::Result<()> {
        let key = chunk_key(&prefix(user, NOTE), 0);
        self.with(|trees| match trees.quarantine.contains_key(&key)? {
            true => Ok(()),
            false => trees.quarantine.insert(key, note).map(drop),
        })
    }

    /// Returns users in quarantine behind `after`, in the order of their hashes, at most `limit`.
    pub(crate) fn quarantined_after(&self, after: Option<UserHash>, limit: usize) -> Vec<UserHash> {
        let mut users: Vec<_> = self.quarantined.0.read().iter().copied().collect();
        users.sort_unstable();
        let behind = users.into_iter().filter(|user| after.is_none_or(|after| *user > after));
        behind.take(limit).collect()
    }

    /// Returns what the quarantine holds of a user, without the frames themselves.
    pub(crate) fn quarantined_user(&self, user: &UserHash) -> Result<QuarantinedUser, StoreError> {
        let collect = |tree: &ReadableTree| {
            let mut found = QuarantinedUser::default();
            for entry in tree.scan_prefix(user.0) {
                let (key, value) = entry?;
                let sequence = key.get(USER_BYTES..PREFIX_BYTES).and_then(<[u8]>::first_chunk);
                match sequence.map(|sequence| u64::from_be_bytes(*sequence)) {
                    Some(NOTE) => found.note = Some(value.to_vec()),
                    Some(sequence) => *found.frames.entry(sequence).or_default() += value.len(),
                    None => {}
                }
            }
            Ok(found)
        };
        self.with(|trees| collect(&trees.quarantine)).map_err(unavailable)
    }

    /// Returns a frame as it was in the journal; empty if it could not be read.
    pub(crate) fn quarantined_frame(&self, user: &UserHash, sequence: u64) -> Result<Vec<u8>, StoreError> {
        let join = |tree: &ReadableTree| {
            let mut frame = Vec::new();
            for entry in tree.scan_prefix(prefix(user, sequence)) {
                frame.extend_from_slice(&entry?.1);
            }
            Ok(frame)
        };
        self.with(|trees| join(&trees.quarantine)).map_err(unavailable)
    }

    /// Writes a user and removes what the quarantine holds of it; of a user who is all new also every other value in the trees,
    /// damaged ones included. All of it becomes durable with the next flush, or nothing.
    pub(crate) fn write_released(&self, user: &FoldedUser, is_all_new: bool) -> sled::Result<()> {
        self.with(|trees| {
            let remove_all = |tree: &ReadableTree, batch: &mut TreeBatch| {
                tree.scan_prefix(user.user.0).keys().try_for_each(|key| key.map(|key| batch.remove(key)))
            };
            let (mut states, mut records) = (TreeBatch::default(), TreeBatch::default());
            if is_all_new {
                // The later change of a key counts.
                remove_all(&trees.users, &mut states)?;
                remove_all(&trees.records, &mut records)?;
            }
            add(user, &trees.records, &mut states, &mut records)?;
            let mut frames = TreeBatch::default();
            remove_all(&trees.quarantine, &mut frames)?;
            let changes = [(&trees.users, &states), (&trees.records, &records), (&trees.quarantine, &frames)];
            StoredTree::apply_together(&changes)
        })
    }

    /// Lets loads of the user succeed again.
    pub(crate) fn set_released(&self, user: &UserHash) {
        self.quarantined.0.write().remove(user);
    }

    /// Makes every later load of the user fail as damaged.
    pub(crate) fn set_quarantined(&self, user: UserHash) {
        self.quarantined.0.write().insert(user);
    }

    pub(crate) fn is_quarantined(&self, user: &UserHash) -> bool {
        self.quarantined.0.read().contains(user)
    }

    /// Returns the generation of a user's frames in quarantine, if that was noted.
    pub(crate) fn quarantined_generation(&self, user: &UserHash) -> Result<Option<u32>, StoreError> {
        let note = self.with(|trees| trees.quarantine.get(chunk_key(&prefix(user, NOTE), 0))).map_err(unavailable)?;
        Ok(note.and_then(|note| QuarantineNote::decode(&note)).map(|note| note.generation))
    }

    /// Removes a user's frames from quarantine, if there are any. Durable when it returns.
    pub(crate) fn lift_quarantine(&self, user: &UserHash) -> Result<(), StoreError> {
        if !self.is_quarantined(user) {
            return Ok(());
        }
        let remove = |tree: &StoredTree| {
            let mut batch = TreeBatch::default();
            for key in tree.scan_prefix(user.0).keys() {
                batch.remove(key?);
            }
            tree.apply_batch(batch)
        };
        self.with(|trees| remove(&trees.quarantine)).and_then(|()| self.flush()).map_err(unavailable)?;
        self.quarantined.0.write().remove(user);
        Ok(())
    }

    /// Refuses a user in quarantine, because what sled holds is not the newest that was acknowledged.
    pub(crate) fn check_quarantine(&self, user: &UserHash) -> Result<(), StoreError> {
        if self.is_quarantined(user) {
            let what = format!("frames of {user:?} could not be folded and are in quarantine");
            return Err(StoreError::Damaged { what });
        }
        Ok(())
    }

    /// Returns how many users are in quarantine.
    pub(crate) fn quarantined_users(&self) -> usize {
        self.quarantined.0.read().len()
    }
}

/// Returns whether a key of the quarantine is that of a note.
pub(crate) fn is_note_key(key: &[u8]) -> bool {
    key.get(USER_BYTES..PREFIX_BYTES).is_some_and(|sequence| sequence == NOTE.to_be_bytes())
}

/// Returns the start of the keys of a frame's values.
fn prefix(user: &UserHash, sequence: u64) -> Vec<u8> {
    [&user.0[..], &sequence.to_be_bytes()].concat()
}
