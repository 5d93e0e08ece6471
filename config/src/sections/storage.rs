//! The data on disk: journal, checkpoints, store and dead letters.

use std::time::Duration;

use super::{DAY_S, TIB};
use crate::ConfigError;
use crate::keys::Keys;

/// The section `[journal]`: segments, and how long they are kept after a checkpoint.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Size of a preallocated segment, in bytes.
    pub segment_bytes: u64,
    /// Total size of checkpointed segments beyond which the oldest are removed, in bytes.
    pub retain_bytes: u64,
    /// Age at which checkpointed segments are removed.
    pub retain: Duration,
}

impl JournalSettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            segment_bytes: keys.integer::<u64>("journal.segment_mib", 1..=1_024)? << 20,
            retain_bytes: keys.integer("journal.retain_bytes", 0..=TIB)?,
            retain: Duration::from_secs(keys.integer::<u64>("journal.retain_hours", 0..=8_784)? * 3_600),
        })
    }
}

/// The section `[checkpoint]`: when changed users are written to the store, and how fast.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Maximum time between two checkpoints.
    pub interval: Duration,
    /// Maximum size of the journal between two checkpoints, in bytes.
    pub journal_bytes: u64,
    /// Maximum number of users that are written per second; 0 for no bound.
    pub users_per_second: u32,
    /// Maximum time of the last checkpoint of a stop.
    pub stop: Duration,
    /// Size of the journal without a checkpoint beyond which feeds are refused, in bytes.
    pub max_lag_bytes: u64,
}

impl Checkpoint {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            interval: keys.seconds("checkpoint.interval_s", 1..=DAY_S)?,
            journal_bytes: keys.integer("checkpoint.journal_bytes", 1_024..=TIB)?,
            users_per_second: keys.integer("checkpoint.users_per_second", 0..=10_000_000)?,
            stop: keys.seconds("checkpoint.stop_s", 0..=3_600)?,
            max_lag_bytes: keys.integer("checkpoint.max_lag_bytes", 2_048..=TIB)?,
        })
    }
}

/// The section `[store]`: the checkpointed state.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Size of sled's page cache, in bytes.
    pub sled_cache_bytes: u64,
    /// How long a jump of the clock must last before anything is removed because of its age.
    pub confirm_clock: Duration,
}

impl StoreSettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            sled_cache_bytes: keys.integer("store.sled_cache_bytes", 1_048_576..=TIB)?,
            confirm_clock: keys.seconds("store.confirm_clock_s", 0..=DAY_S)?,
        })
    }
}

/// The section `[history]`: how long the past of profiles is kept.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// How long every revision can be read.
    pub revisions: Duration,
    /// How long snapshots that somebody asked for are kept.
    pub requested: Duration,
    /// How long daily snapshots are kept.
    pub daily: Duration,
    /// Maximum number of snapshots of a user that somebody asked for.
    pub max_snapshots: usize,
}

impl HistorySettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let days =
            |key: &str| Ok::<_, ConfigError>(Duration::from_secs(keys.integer::<u64>(key, 1..=36_500)? * 86_400));
        Ok(Self {
            revisions: days("history.revision_days")?,
            requested: days("history.snapshot_days")?,
            daily: days("history.daily_days")?,
            max_snapshots: keys.integer("history.max_snapshots", 0..=1_000)?,
        })
    }
}

/// The section `[dead_letters]`.
#[derive(Debug, Clone)]
pub struct DeadLetterSettings {
    /// Days to keep dead letters.
    pub retain_days: u32,
    /// Maximum size of the dead letters of one source, in bytes.
    pub max_bytes_per_source: u64,
    /// Maximum size of all dead letters, in bytes.
    pub max_bytes: u64,
    /// Maximum size of the dead letters that wait to be written, in bytes.
    pub queue_bytes: usize,
}

impl DeadLetterSettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            retain_days: keys.integer("dead_letters.retain_days", 1..=365)?,
            max_bytes_per_source: keys.integer("dead_letters.max_bytes_per_source", 0..=TIB)?,
            max_bytes: keys.integer("dead_letters.max_bytes", 0..=TIB)?,
            queue_bytes: keys.integer("dead_letters.queue_bytes", 0..=TIB)?,
        })
    }
}
