//! Scanning the users in the order of their hashes.

use std::ops::Bound;

use domain::port::store::StoreError;

use super::record::SealedRecord;
use super::tree::ReadableTree;
use super::{SledStore, unavailable};
use crate::user_hash::UserHash;

/// A user that a scan has found.
pub(crate) struct ScannedUser {
    pub(crate) user: UserHash,
    /// The sealed record; `None` if it takes several values, which a checkpoint may be replacing.
    pub(crate) record: Option<SealedRecord>,
}

impl SledStore {
    /// Returns up to `limit` users whose hashes are behind `after` and before `end`, in the order of the hashes.
    pub(crate) fn users_between(
        &self,
        after: Bound<UserHash>,
        end: Option<UserHash>,
        limit: usize,
    ) -> Result<Vec<ScannedUser>, StoreError> {
        let start = match after {
            Bound::Included(user) => Bound::Included(user.0.to_vec()),
            // Behind all values of the user.
            Bound::Excluded(user) => Bound::Excluded([&user.0[..], &[u8::MAX; 3]].concat()),
            Bound::Unbounded => Bound::Unbounded,
        };
        let end = end.map_or(Bound::Unbounded, |user| Bound::Excluded(user.0.to_vec()));
        let scan = |tree: &ReadableTree| {
            let mut found = Vec::with_capacity(limit);
            for entry in tree.range::<Vec<u8>, _>((start, end)) {
                let (key, value) = entry?;
                // The first value stands for the record.
                let Some((user, [0, 0])) = key.split_last_chunk() else { continue };
                let Ok(user) = user.try_into().map(UserHash) else { continue };
                let is_whole = SealedRecord::chunk_count(&value) == Some(1);
                let record = if is_whole { SealedRecord::from_first(&value, user) } else { None };
                found.push(ScannedUser { user, record });
                if found.len() == limit {
                    break;
                }
            }
            Ok(found)
        };
        self.with(|trees| scan(&trees.users)).map_err(unavailable)
    }

    /// Returns whether a user has a record.
    pub(crate) fn has_user(&self, user: &UserHash) -> Result<bool, StoreError> {
        self.with(|trees| trees.users.contains_key([&user.0[..], &[0, 0]].concat())).map_err(unavailable)
    }
}
