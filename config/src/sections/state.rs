//! The live state: actors, the commit thread and the cache of views.

use std::time::Duration;

use super::{DAY_S, MANY, MIB, TIB};
use crate::ConfigError;
use crate::keys::Keys;

/// The section `[actors]`: numbers, bounds and lifetimes of actors.
#[derive(Debug, Clone)]
pub struct Actors {
    /// Number of shards, each on an arbiter of its own, at least 1.
    pub shards: usize,
    /// Maximum number of feed events that wait at one actor.
    pub mailbox_capacity: usize,
    /// Maximum number of reads that wait at one actor besides them.
    pub mailbox_reads: usize,
    /// Maximum number of citizens' own writes that wait at one actor besides both.
    pub mailbox_own_writes: usize,
    /// Maximum size of the feed events that wait at all actors, in bytes.
    pub waiting_bytes: usize,
    /// How far reads, and citizens' own writes again, may exceed the bounds of the whole system, in percent of each.
    pub reserve_percent: usize,
    /// Maximum number of pending commits in the whole system.
    pub commit_permits: usize,
    /// Number of live actors beyond which idle ones passivate early.
    pub max_live_actors: usize,
    /// How long an actor is idle before it passivates.
    pub idle_passivate: Duration,
    /// How long the users with live subscribers are spread over when a new day begins.
    pub day_roll_spread: Duration,
    /// Number of actors per shard that keep their assembled parts unpacked.
    pub hot_actors_per_shard: usize,
    /// Maximum memory of warm users, in bytes.
    pub warm_bytes: usize,
    /// Number of threads that load users from the store.
    pub hydration_threads: usize,
    /// Maximum number of users that wait to be loaded.
    pub hydration_queue: usize,
    /// Number of threads that read history.
    pub history_threads: usize,
    /// Maximum number of reads through history that wait.
    pub history_queue: usize,
}

impl Actors {
    pub(crate) fn read(keys: &mut Keys, cores: usize) -> Result<Self, ConfigError> {
        Ok(Self {
            shards: keys.threads("actors.shards", cores)?,
            mailbox_capacity: keys.integer("actors.mailbox_capacity", 1..=MANY)?,
            mailbox_reads: keys.integer("actors.mailbox_reads", 1..=MANY)?,
            mailbox_own_writes: keys.integer("actors.mailbox_own_writes", 1..=MANY)?,
            waiting_bytes: keys.integer("actors.waiting_bytes", MIB..=TIB)?,
            reserve_percent: keys.integer("actors.reserve_percent", 1..=100)?,
            commit_permits: keys.integer("actors.commit_permits", 1..=MANY)?,
            max_live_actors: keys.integer("actors.max_live_actors", 1..=MANY)?,
            idle_passivate: keys.seconds("actors.idle_passivate_s", 1..=DAY_S)?,
            day_roll_spread: keys.seconds("actors.day_roll_spread_s", 1..=DAY_S)?,
            hot_actors_per_shard: keys.integer("actors.hot_actors_per_shard", 1..=MANY)?,
            warm_bytes: keys.integer("actors.warm_bytes", 0..=TIB)?,
            hydration_threads: keys.integer("actors.hydration_threads", 1..=1_024)?,
            hydration_queue: keys.integer("actors.hydration_queue", 1..=MANY)?,
            history_threads: keys.integer("actors.history_threads", 1..=1_024)?,
            history_queue: keys.integer("actors.history_queue", 1..=MANY)?,
        })
    }
}

/// The section `[commit]`: the commit thread.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Maximum number of deltas that wait for the commit thread.
    pub queue_capacity: usize,
    /// Maximum number of frames that share one sync.
    pub max_group: usize,
    /// Maximum memory of pending commits, in bytes.
    pub permit_bytes: usize,
}

impl Commit {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            queue_capacity: keys.integer("commit.queue_capacity", 1..=MANY)?,
            max_group: keys.integer("commit.max_group", 1..=65_536)?,
            permit_bytes: keys.integer("commit.permit_bytes", MIB..=TIB)?,
        })
    }
}

/// The section `[cache]`: the cache of views.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Maximum size of the cached views, in bytes; 0 turns the cache off.
    pub view_bytes: u64,
    /// How long a view is unused before it is dropped.
    pub idle: Duration,
}

impl Cache {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            view_bytes: keys.integer("cache.view_bytes", 0..=TIB)?,
            idle: keys.seconds("cache.idle_s", 1..=DAY_S)?,
        })
    }
}
