//! Warm users: their heads are in memory as compact bytes, without an actor.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::id::UserId;

use crate::compact::Compact;
use crate::head::ConsentBits;

/// About the memory of a warm user beside the bytes of its state: the entry of the roster, the free buckets of the table,
/// and what the allocator adds to the state. `merge_bench` prints the memory: 195 bytes from 100,000 to 300,000 users, where the
/// table is at its emptiest, and less between its doublings.
const OVERHEAD: usize = 160;

/// The head of a user without an actor.
#[derive(Debug)]
pub(crate) struct WarmUser {
    bytes: Compact,
    /// The sequence of the head; 0 if it is too large for this field.
    sequence: u32,
    /// The shard of the user's actors. Its hash costs more than two bytes.
    shard: u16,
    /// The consent at the head, and [`HAS_VIEWS`].
    bits: u8,
    /// Whether the user became warm since the clock hand last passed.
    is_recent: bool,
}

/// Set if something holds the head cell of the last actor: cached views, or a reader that may make some.
const HAS_VIEWS: u8 = 1 << 7;

/// A warm user whose actor is to be started.
#[derive(Debug)]
pub(crate) struct WarmStart {
    pub(crate) user: UserId,
    pub(crate) bytes: Compact,
    /// The consent at the head.
    pub(crate) consent: ConsentBits,
    /// Whether there may be cached views of the head.
    pub(crate) has_views: bool,
}

/// The compact head of a warm user, for a reader on another thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackedHead {
    pub(crate) bytes: Compact,
    pub(crate) sequence: u64,
}

impl WarmUser {
    /// Returns a warm user at a committed head of `sequence`, whose compact form is `bytes`.
    pub(crate) fn new(bytes: Compact, sequence: u64, shard: u16, consent: ConsentBits) -> Self {
        let sequence = u32::try_from(sequence).unwrap_or(0);
        Self { bytes, sequence, shard, bits: consent.bits(), is_recent: true }
    }

    /// Notes whether something holds the head cell of the last actor.
    pub(super) fn set_has_views(&mut self, has_views: bool) {
        self.bits = if has_views { self.bits | HAS_VIEWS } else { self.bits & !HAS_VIEWS };
    }

    /// Returns the consent at the head.
    pub(super) fn consent(&self) -> ConsentBits {
        ConsentBits::from_bits(self.bits & !HAS_VIEWS)
    }

    /// Returns the shard of the user's actors.
    pub(super) fn shard(&self) -> u16 {
        self.shard
    }

    /// Returns what the start of the user's actor needs.
    pub(super) fn into_start(self, user: UserId) -> WarmStart {
        WarmStart { user, consent: self.consent(), bytes: self.bytes, has_views: self.bits & HAS_VIEWS != 0 }
    }

    /// Returns a copy of the bytes with their sequence; `None` if the sequence is not known.
    pub(super) fn packed(&self) -> Option<PackedHead> {
        let sequence = (self.sequence != 0).then_some(self.sequence)?;
        Some(PackedHead { bytes: self.bytes.clone(), sequence: u64::from(sequence) })
    }

    /// Takes the second chance: returns whether the user became warm since the last call.
    pub(super) fn take_chance(&mut self) -> bool {
        std::mem::take(&mut self.is_recent)
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// What all warm users take together, and its bound.
#[derive(Debug)]
pub(super) struct WarmTier {
    users: AtomicUsize,
    /// The bytes of their states.
    state_bytes: AtomicUsize,
    max_bytes: usize,
    /// The number of parts of the map that clock hands were turned in.
    turns: AtomicUsize,
}

/// Numbers of the warm tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WarmCounters {
    pub(crate) users: usize,
    pub(crate) state_bytes: usize,
    /// The bytes that count towards the bound: those of the states, and an estimate of what each user takes beside them.
    pub(crate) bytes: usize,
}

impl WarmTier {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { users: AtomicUsize::new(0), state_bytes: AtomicUsize::new(0), max_bytes, turns: AtomicUsize::new(0) }
    }

    /// Returns whether a user may be warm at all.
    pub(super) fn has_room_for(&self, user: &WarmUser) -> bool {
        user.size() + OVERHEAD <= self.max_bytes
    }

    /// Counts a user that becomes warm. Must be called while its entry is locked.
    pub(super) fn add(&self, user: &WarmUser) {
        self.users.fetch_add(1, Ordering::Relaxed);
        self.state_bytes.fetch_add(user.size(), Ordering::Relaxed);
    }

    /// Counts a user that is warm no more. Must be called while its entry is locked.
    pub(super) fn remove(&self, user: &WarmUser) {
        self.users.fetch_sub(1, Ordering::Relaxed);
        self.state_bytes.fetch_sub(user.size(), Ordering::Relaxed);
    }

    /// Returns whether the warm users take more than they may.
    pub(super) fn is_over(&self) -> bool {
        self.counters().bytes > self.max_bytes
    }

    /// Returns the part of the map whose hand is turned next.
    pub(super) fn next_part(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn counters(&self) -> WarmCounters {
        let users = self.users.load(Ordering::Relaxed);
        let state_bytes = self.state_bytes.load(Ordering::Relaxed);
        WarmCounters { users, state_bytes, bytes: state_bytes.saturating_add(users.saturating_mul(OVERHEAD)) }
    }
}
