//! The newest frame of each user who has frames that no checkpoint holds yet, and of some other users.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Whether the frame is an erasure, which ends its generation.
    pub(crate) is_erasure: bool,
    /// [`Position::NONE`] if only a checkpoint has the frame.
    pub(crate) position: Position,
}

/// The newest frames, by user. Each frame contains the position of the user's previous frame, so the older ones are found
/// from there.
pub(crate) struct Index {
    shards: Vec<RwLock<Shard>>,
    /// Users whose newest frame is before this position may have been forgotten.
    forgotten_before: AtomicU64,
}

type Shard = HashMap<UserHash, NewestFrame, BuildHasherDefault<Passthrough>>;

impl Index {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), forgotten_before: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, user: &UserHash) -> Option<NewestFrame> {
        self.shard(user).read().get(user).copied()
    }

    /// Sets a user's newest frame and returns the previous one.
    pub(crate) fn set(&self, user: UserHash, newest: NewestFrame) -> Option<NewestFrame> {
        self.shard(&user).write().insert(user, newest)
    }

    /// Returns the users whose newest frame is at `position` or behind it, in the order of their hashes.
    pub(crate) fn users_since(&self, position: Position) -> Vec<UserHash> {
        let mut users = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            users.extend(shard.iter().filter(|(_, newest)| newest.position >= position).map(|(user, _)| user));
        }
        users.sort_unstable();
        users
    }

    /// Returns the users whose newest frame is an erasure, of those in the index.
    pub(crate) fn erasures(&self) -> Vec<(UserHash, NewestFrame)> {
        let mut erasures = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            erasures
                .extend(shard.iter().filter(|(_, newest)| newest.is_erasure).map(|(user, newest)| (*user, *newest)));
        }
        erasures
    }

    /// Forgets the users whose newest frame is before `position`, because a checkpoint has it, if there are more than
    /// `keep` users.
    pub(crate) fn forget_before(&self, position: Position, keep: usize) {
        if self.len() <= keep {
            return;
        }
        self.forgotten_before.fetch_max(position.to_u64(), Ordering::AcqRel);
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.retain(|_, newest| newest.position >= position);
            // The memory of a burst of new users is released.
            if shard.capacity() > 4 * shard.len().max(256) {
                shard.shrink_to_fit();
            }
        }
    }

    /// Returns the position before which the newest frame of a user may have been forgotten.
    pub(crate) fn forgotten_before(&self) -> Position {
        Position::from_u64(self.forgotten_before.load(Ordering::Acquire))
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn shard(&self, user: &UserHash) -> &RwLock<Shard> {
        &self.shards[user.0[15] as usize % SHARDS]
    }
}

/// Uses the first bytes of a user hash as the hash, because it is an HMAC already.
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

    // The length of the array comes first and is always the same.
    fn write_usize(&mut self, _: usize) {}
}
