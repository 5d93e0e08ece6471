//! What lies on disk: journal, checkpoints, the store, dead letters.

use std::time::Duration;

use super::{DAY_S, TIB};
use crate::Error;
use crate::keys::Keys;

/// `[journal]`: segments and how long they are kept once checkpointed.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Size of a preallocated segment.
    pub segment_bytes: u64,
    /// Checkpointed segments beyond this total go, oldest first.
    pub retain_bytes: u64,
    /// Checkpointed segments that are older go.
    pub retain: Duration,
}

impl Journal {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            segment_bytes: keys.integer::<u64>("journal.segment_mib", 1..=1_024)? << 20,
            retain_bytes: keys.integer("journal.retain_bytes", 0..=TIB)?,
            retain: Duration::from_secs(keys.integer::<u64>("journal.retain_hours", 0..=8_784)? * 3_600),
        })
    }
}

/// `[checkpoint]`: when changed users are written to the store, and how fast.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The longest time between two.
    pub interval: Duration,
    /// The most journal between two.
    pub journal_bytes: u64,
    /// The most users that are written a second; 0 = no bound.
    pub users_per_second: u32,
    /// Maximum number of bytes of journal in no checkpoint before feeds are refused.
    pub max_lag_bytes: u64,
}

impl Checkpoint {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            interval: keys.seconds("checkpoint.interval_s", 1..=DAY_S)?,
            journal_bytes: keys.integer("checkpoint.journal_bytes", 1_024..=TIB)?,
            users_per_second: keys.integer("checkpoint.users_per_second", 0..=10_000_000)?,
            max_lag_bytes: keys.integer("checkpoint.max_lag_bytes", 2_048..=TIB)?,
        })
    }
}

/// `[store]`: the checkpointed state.
#[derive(Debug, Clone)]
pub struct Store {
    /// Pages of sled that are held in memory.
    pub sled_cache_bytes: u64,
    /// How long a jump of the clock has to hold before anything is removed for its age.
    pub confirm_clock: Duration,
}

impl Store {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            sled_cache_bytes: keys.integer("store.sled_cache_bytes", 1_048_576..=TIB)?,
            confirm_clock: keys.seconds("store.confirm_clock_s", 0..=DAY_S)?,
        })
    }
}

/// `[dead_letters]`
#[derive(Debug, Clone)]
pub struct DeadLetters {
    /// How many days rejected events are kept.
    pub retain_days: u32,
    /// Maximum number of bytes of one source's.
    pub max_bytes_per_source: u64,
    /// Maximum number of bytes of all.
    pub max_bytes: u64,
    /// Maximum number of bytes that wait to be written.
    pub queue_bytes: usize,
}

impl DeadLetters {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            retain_days: keys.integer("dead_letters.retain_days", 1..=365)?,
            max_bytes_per_source: keys.integer("dead_letters.max_bytes_per_source", 0..=TIB)?,
            max_bytes: keys.integer("dead_letters.max_bytes", 0..=TIB)?,
            queue_bytes: keys.integer("dead_letters.queue_bytes", 0..=TIB)?,
        })
    }
}
