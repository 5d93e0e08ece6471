//! Who has frames that no checkpoint holds yet, where the newest of them lies, and what others must continue.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parking_lot::RwLock;

use super::position::Position;
use crate::user_hash::UserHash;

const SHARDS: usize = 64;

/// A user's newest frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewestFrame {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u64,
    pub(crate) position: Position,
}

/// All users with frames since the last checkpoint, and some of the others. A user's older frames are found along the
/// chain in the frames themselves.
pub(crate) struct Index {
    shards: Vec<RwLock<Shard>>,
}

type Shard = HashMap<UserHash, NewestFrame, BuildHasherDefault<Passthrough>>;

impl Index {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    pub(crate) fn get(&self, user: &UserHash) -> Option<NewestFrame> {
        self.shard(user).read().get(user).copied()
    }

    /// Sets a user's newest frame and returns the one before.
    pub(crate) fn set(&self, user: UserHash, entry: NewestFrame) -> Option<NewestFrame> {
        self.shard(&user).write().insert(user, entry)
    }

    /// The users whose newest frame lies at `position` or behind, in the order of their hashes.
    pub(crate) fn users_since(&self, position: Position) -> Vec<UserHash> {
        let mut users = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            users.extend(shard.iter().filter(|(_, entry)| entry.position >= position).map(|(user, _)| user));
        }
        users.sort_unstable();
        users
    }

    /// May forget users whose newest frame lies before `position`, because a checkpoint has it; does if there are more
    /// than `keep`.
    pub(crate) fn forget_before(&self, position: Position, keep: usize) {
        if self.len() <= keep {
            return;
        }
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.retain(|_, entry| entry.position >= position);
            // A burst of new users must not keep its memory for ever.
            if shard.capacity() > 4 * shard.len().max(256) {
                shard.shrink_to_fit();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn shard(&self, user: &UserHash) -> &RwLock<Shard> {
        &self.shards[user.0[15] as usize % SHARDS]
    }
}

/// A user hash is an HMAC already: its first bytes are as good a hash as any.
#[derive(Default)]
pub(crate) struct Passthrough(u64);

impl Hasher for Passthrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    // The length of the array comes first and says nothing.
    fn write_usize(&mut self, _: usize) {}
}
