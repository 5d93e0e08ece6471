//! Live state: actors, the commit thread, the cache in front of them.

use std::time::Duration;

use super::{DAY_S, MANY, MIB, TIB};
use crate::Error;
use crate::keys::Keys;

/// `[actors]`: how many, how bounded, how long they live.
#[derive(Debug, Clone)]
pub struct Actors {
    /// Arbiters that the roster is spread over, at least 1.
    pub shards: usize,
    /// Maximum number of feed events that wait at one ProfileActor.
    pub mailbox_capacity: usize,
    /// Maximum number of reads that wait there beside them.
    pub mailbox_reads: usize,
    /// Maximum number of a citizen's own writes that wait there beside both.
    pub mailbox_own_writes: usize,
    /// Maximum number of bytes of feed events that wait at all of them.
    pub waiting_bytes: usize,
    /// What reads, and own writes once more, may use beyond the bounds of the whole system, in percent of each.
    pub reserve_percent: usize,
    /// Commits that may be pending in the whole system.
    pub commit_permits: usize,
    /// Live actors before idle ones passivate early.
    pub max_live_actors: usize,
    /// An actor idle for this long passivates.
    pub idle_passivate: Duration,
    /// Over how long the users with live subscribers are rolled when the day turns.
    pub day_roll_spread: Duration,
    /// Actors per shard that keep their assembled parts unpacked.
    pub hot_actors_per_shard: usize,
    /// Threads that load cold users.
    pub hydration_threads: usize,
    /// Users that may wait to be loaded.
    pub hydration_queue: usize,
}

impl Actors {
    pub(crate) fn read(keys: &mut Keys, cores: usize) -> Result<Self, Error> {
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
            hydration_threads: keys.integer("actors.hydration_threads", 1..=1_024)?,
            hydration_queue: keys.integer("actors.hydration_queue", 1..=MANY)?,
        })
    }
}

/// `[commit]`: the commit thread.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Deltas that wait for it.
    pub queue_capacity: usize,
    /// Most frames that share one sync.
    pub max_group: usize,
    /// Maximum number of bytes that pending commits keep in memory.
    pub permit_bytes: usize,
}

impl Commit {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            queue_capacity: keys.integer("commit.queue_capacity", 1..=MANY)?,
            max_group: keys.integer("commit.max_group", 1..=65_536)?,
            permit_bytes: keys.integer("commit.permit_bytes", MIB..=TIB)?,
        })
    }
}

/// `[cache]`: ready-to-send views.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Most bytes of views; 0 turns the cache off.
    pub view_bytes: u64,
    /// A view idle for this long is dropped.
    pub idle: Duration,
}

impl Cache {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            view_bytes: keys.integer("cache.view_bytes", 0..=TIB)?,
            idle: keys.seconds("cache.idle_s", 1..=DAY_S)?,
        })
    }
}
