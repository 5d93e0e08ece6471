//! The settings of the live state.

use std::time::Duration;

use domain::snapshot::SnapshotPeriods;

use crate::priority::Limits;

const DAY_MICROS: i64 = 86_400_000_000;

/// The settings of the live state. Every queue and mailbox has its limit here.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of shards (threads) that the actors are spread over; 0 means one per core.
    pub shards: usize,
    /// Maximum number of feed events that wait at one ProfileActor, or for one user who is being hydrated.
    pub mailbox_capacity: usize,
    /// Number of further places there for reads. Feeds never use them.
    pub mailbox_reads: usize,
    /// Number of further places there for the citizen's own writes. Feeds and reads never use them.
    pub mailbox_own_writes: usize,
    /// Maximum number of bytes of feed events that wait for their users, in the whole system.
    pub waiting_bytes: usize,
    /// Places reserved for reads beyond each limit of the whole system, in percent of the limit. Own writes have as many
    /// again. Applies to users that wait to be loaded, permits and their bytes, and the commit queue.
    pub reserve_percent: usize,
    /// Maximum number of messages that wait at the RosterActor of a shard. Requests to users do not pass through it.
    pub roster_mailbox_capacity: usize,
    /// Maximum number of commits that are pending in the whole system.
    pub commit_permits: usize,
    /// Maximum number of bytes that pending commits keep in memory.
    pub permit_bytes: usize,
    /// Maximum number of bytes of the journal that are in no checkpoint. Feeds get fewer permits from half of it on, and
    /// none beyond it.
    pub max_lag_bytes: u64,
    /// Maximum number of commits that wait for the commit thread.
    pub commit_queue_capacity: usize,
    /// Maximum number of bytes of the records that wait for the commit thread.
    pub commit_queue_bytes: usize,
    /// Maximum number of records that share one sync.
    pub max_group: usize,
    /// Maximum number of bytes of the records that share one sync. A larger record has a group of its own.
    pub max_group_bytes: usize,
    /// Maximum number of actors in the whole system. Beyond it, the longest idle are passivated early.
    pub max_live_actors: usize,
    /// How long an actor is idle before it is passivated. Most are passivated sooner, when they leave the hot ring.
    pub idle_passivate: Duration,
    /// Maximum number of actors of a shard that keep their state unpacked. Beyond it, the least recently used become warm,
    /// or are packed if they have subscribers.
    pub hot_actors_per_shard: usize,
    /// Maximum number of bytes of the warm users: states in memory without an actor, with all that they take beside the
    /// states. Beyond it, the least recently used are dropped, as they are in the store. 0 keeps none.
    pub warm_bytes: usize,
    /// Number of threads that load users from the store.
    pub hydration_threads: usize,
    /// Maximum number of users that wait to be loaded, and again of warm users that wait for their actors.
    pub hydration_queue: usize,
    /// Number of threads that read history.
    pub history_threads: usize,
    /// Maximum number of reads through history that wait.
    pub history_queue: usize,
    /// Maximum number of bytes of cached views; 0 turns the cache off.
    pub view_bytes: u64,
    /// How long a user's cached views are kept after they were last read.
    pub view_idle: Duration,
    /// The time over which users with live subscribers are rolled to a new day.
    pub day_roll_spread: Duration,
    /// How often a shard looks for idle actors, a new day and a new policy, and sends deferred patches.
    pub tick: Duration,
    /// How long [`crate::Profiles::stop`] waits for pending requests and commits.
    pub drain_timeout: Duration,
    /// Maximum number of followers of the journal at the same time.
    pub max_followers: usize,
    /// Maximum number of followers of one caller at the same time.
    pub max_followers_per_caller: usize,
    /// Maximum number of bytes of profiles that followers keep in memory, so that they need not read them from history.
    pub follower_cache_bytes: u64,
    /// How far ahead of the clock the time of an event may be.
    pub future_tolerance: Duration,
    /// How long revisions and snapshots are kept.
    pub snapshot_periods: SnapshotPeriods,
    /// Maximum number of snapshots of a user that somebody asked for and that have not expired.
    pub max_snapshots: usize,
    /// The store's epoch, part of every cursor.
    pub epoch: u64,
    /// The key that seals cursors. It must be the same after a restart, so that cursors stay valid.
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
            hot_actors_per_shard: 256,
            warm_bytes: 8 << 30,
            hydration_threads: 2,
            hydration_queue: 65_536,
            history_threads: 1,
            history_queue: 256,
            view_bytes: 256 << 20,
            view_idle: Duration::from_secs(60),
            day_roll_spread: Duration::from_secs(3_600),
            tick: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(30),
            max_followers: 64,
            max_followers_per_caller: 4,
            follower_cache_bytes: 64 << 20,
            future_tolerance: Duration::from_secs(300),
            snapshot_periods: SnapshotPeriods {
                revisions: 30 * DAY_MICROS,
                requested: 30 * DAY_MICROS,
                daily: 365 * DAY_MICROS,
            },
            max_snapshots: 64,
            epoch: 1,
            cursor_key: [0; 32],
        }
    }
}

impl Options {
    /// Returns the number of shards: the setting, or the number of cores.
    pub(crate) fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            shards => shards,
        }
        .min(usize::from(u16::MAX))
    }

    /// Returns the limits of a mailbox.
    pub(crate) fn mailbox_limits(&self) -> Limits {
        Limits::new(self.mailbox_capacity, self.mailbox_reads, self.mailbox_own_writes)
    }

    /// Returns the limits of a resource of the whole system, with its reserves.
    pub(crate) fn limits(&self, bound: usize) -> Limits {
        Limits::for_places(bound, self.reserve_percent)
    }

    /// Returns the same limits in bytes.
    pub(crate) fn byte_limits(&self, bound: usize) -> Limits {
        Limits::for_bytes(bound, self.reserve_percent)
    }

    /// Returns how many ticks an actor may be idle.
    pub(crate) fn idle_ticks(&self) -> u32 {
        ticks(self.idle_passivate, self.tick)
    }

    /// Returns the number of ticks that a new day is spread over, at least 1.
    pub(crate) fn roll_ticks(&self) -> u32 {
        ticks(self.day_roll_spread, self.tick).max(1)
    }
}

fn ticks(span: Duration, tick: Duration) -> u32 {
    u32::try_from(span.as_millis() / tick.as_millis().max(1)).unwrap_or(u32::MAX)
}
