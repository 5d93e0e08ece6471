//! How many, how bounded, how long.

use std::time::Duration;

use crate::priority::Limits;

/// The settings of the live state. Every queue and mailbox has its bound here.
#[derive(Debug, Clone)]
pub struct Options {
    /// Arbiters (threads) that the actors are spread over; 0 is one per core.
    pub shards: usize,
    /// Feed events that wait at one ProfileActor, or for one user who is being hydrated.
    pub mailbox_capacity: usize,
    /// Reads that may wait there beside them. Feeds never use these places.
    pub mailbox_reads: usize,
    /// The citizen's own writes that may wait there beside feeds and reads, which never use these places.
    pub mailbox_own_writes: usize,
    /// Maximum number of bytes of feed events that wait for their users, in the whole system.
    pub waiting_bytes: usize,
    /// Places that reads have beyond each bound of the whole system, and own writes once more, in percent of the bound:
    /// of users that wait to be loaded, permits and their bytes, and the commit queue.
    pub reserve_percent: usize,
    /// Messages that wait at the RosterActor of a shard (ticks and questions alone: no request passes through it).
    pub roster_mailbox_capacity: usize,
    /// Commits that may be pending in the whole system.
    pub commit_permits: usize,
    /// Maximum number of bytes that pending commits keep in memory.
    pub permit_bytes: usize,
    /// Feeds get no permits while the journal holds more bytes than this that are in no checkpoint, and fewer permits
    /// from half of it on.
    pub max_lag_bytes: u64,
    /// Commits that wait for the commit thread.
    pub commit_queue_capacity: usize,
    /// The most bytes of records that wait for the commit thread.
    pub commit_queue_bytes: usize,
    /// The most records that share one sync.
    pub max_group: usize,
    /// The most bytes of records that share one sync; a larger record has a group of its own.
    pub max_group_bytes: usize,
    /// Live actors in the whole system before the longest idle passivate early.
    pub max_live_actors: usize,
    /// An actor that nothing was asked of for this long passivates.
    pub idle_passivate: Duration,
    /// Actors of a shard that keep their state unpacked.
    pub hot_actors_per_shard: usize,
    /// The zstd dictionary that idle states are compressed with; empty for none.
    pub dictionary: &'static [u8],
    /// Threads that load cold users.
    pub hydration_threads: usize,
    /// Users that may wait to be loaded.
    pub hydration_queue: usize,
    /// The most bytes of ready-to-send views; 0 turns the cache off.
    pub view_bytes: u64,
    /// A view that nobody asked for this long is dropped.
    pub view_idle: Duration,
    /// Over how long the users with live subscribers are rolled when the day turns.
    pub day_roll_spread: Duration,
    /// How often a shard looks for idle actors, a new day, a new policy, and what is held back from subscribers.
    pub tick: Duration,
    /// How long [`crate::Profiles::stop`] waits for what is under way.
    pub drain_timeout: Duration,
    /// Followers of the journal at the same time, in all.
    pub max_followers: usize,
    /// The same of one caller.
    pub max_followers_per_caller: usize,
    /// The most bytes of profiles that followers remember, so that they need not rewind to them.
    pub follower_cache_bytes: u64,
    /// The store's epoch, part of every cursor.
    pub epoch: u64,
    /// Keeps what stands in cursors unreadable. The same after a restart, so that cursors stay good.
    pub cursor_key: [u8; 32],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: 0,
            mailbox_capacity: 64,
            mailbox_reads: 256,
            mailbox_own_writes: 64,
            waiting_bytes: 256 << 20,
            reserve_percent: 10,
            roster_mailbox_capacity: 16,
            commit_permits: 65_536,
            permit_bytes: 256 << 20,
            max_lag_bytes: u64::MAX,
            commit_queue_capacity: 65_536,
            commit_queue_bytes: 256 << 20,
            max_group: 4_096,
            max_group_bytes: 16 << 20,
            max_live_actors: 1_000_000,
            idle_passivate: Duration::from_secs(300),
            hot_actors_per_shard: 4_096,
            dictionary: &[],
            hydration_threads: 2,
            hydration_queue: 65_536,
            view_bytes: 256 << 20,
            view_idle: Duration::from_secs(60),
            day_roll_spread: Duration::from_secs(3_600),
            tick: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(30),
            max_followers: 64,
            max_followers_per_caller: 4,
            follower_cache_bytes: 64 << 20,
            epoch: 1,
            cursor_key: [0; 32],
        }
    }
}

impl Options {
    /// How many shards there are: the setting, or the cores of this machine.
    pub(crate) fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            shards => shards,
        }
        .min(usize::from(u16::MAX))
    }

    /// The bounds of a mailbox, by class.
    pub(crate) fn mailbox_limits(&self) -> Limits {
        Limits::new(self.mailbox_capacity, self.mailbox_reads, self.mailbox_own_writes)
    }

    /// A bound of the whole system, with its reserves.
    pub(crate) fn limits(&self, bound: usize) -> Limits {
        Limits::of_places(bound, self.reserve_percent)
    }

    /// The same in bytes.
    pub(crate) fn byte_limits(&self, bound: usize) -> Limits {
        Limits::of_bytes(bound, self.reserve_percent)
    }

    /// How many ticks an actor may be idle.
    pub(crate) fn idle_ticks(&self) -> u32 {
        ticks(self.idle_passivate, self.tick)
    }

    /// Over how many ticks a turn of the day is spread, at least 1.
    pub(crate) fn roll_ticks(&self) -> u32 {
        ticks(self.day_roll_spread, self.tick).max(1)
    }
}

fn ticks(span: Duration, tick: Duration) -> u32 {
    u32::try_from(span.as_millis() / tick.as_millis().max(1)).unwrap_or(u32::MAX)
}
