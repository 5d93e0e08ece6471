//! The quarantine in sled: sealed frames that a checkpoint could not fold, by user and sequence.

use std::collections::HashSet;

use domain::port::store::StoreError;
use parking_lot::RwLock;

use super::record::MAX_VALUE_BYTES;
use super::{SledStore, chunk_key, unavailable};
use crate::user_hash::UserHash;

/// The users in quarantine, in memory because every load asks.
#[derive(Default)]
pub(super) struct Quarantined(RwLock<HashSet<UserHash>>);

impl Quarantined {
    /// Reads the users from the tree.
    pub(super) fn read(tree: &sled::Tree) -> sled::Result<Self> {
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
        let prefix = [&user.0[..], &sequence.to_be_bytes()].concat();
        let mut batch = sled::Batch::default();
        // A frame that could not be read leaves an empty value, which still marks the user.
        batch.insert(chunk_key(&prefix, 0), &frame[..frame.len().min(MAX_VALUE_BYTES)]);
        for (number, chunk) in (0..).zip(frame.chunks(MAX_VALUE_BYTES)).skip(1) {
            batch.insert(chunk_key(&prefix, number), chunk);
        }
        self.with(|trees| trees.quarantine.apply_batch(batch))
    }

    /// Makes every later load of the user fail as damaged.
    pub(crate) fn set_quarantined(&self, user: UserHash) {
        self.quarantined.0.write().insert(user);
    }

    pub(crate) fn is_quarantined(&self, user: &UserHash) -> bool {
        self.quarantined.0.read().contains(user)
    }

    /// Removes a user's frames from quarantine, if there are any. Durable when it returns.
    pub(crate) fn lift_quarantine(&self, user: &UserHash) -> Result<(), StoreError> {
        if !self.is_quarantined(user) {
            return Ok(());
        }
        let remove = |tree: &sled::Tree| {
            let mut batch = sled::Batch::default();
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
