//! What every part of the live state shares, from whatever thread.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::day::Day;
use domain::id::UserId;
use domain::port::clock::{Clock, Entropy};
use domain::rules::Rules;
use tokio::sync::mpsc::UnboundedSender;

use crate::commit::{CommitQueue, Permits};
use crate::follower::Followers;
use crate::hydration::LoadQueue;
use crate::metric::Metrics;
use crate::options::Options;
use crate::outlet::CursorKey;
use crate::profile::Request;
use crate::roster::{Roster, ShardEvent};
use crate::today::Today;
use crate::view_cache::ViewCache;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) rules_fingerprint: u32,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) today: Today,
    pub(crate) cursors: CursorKey,
    pub(crate) roster: Roster,
    pub(crate) permits: Arc<Permits>,
    pub(crate) commits: CommitQueue,
    pub(crate) loads: LoadQueue,
    pub(crate) cache: ViewCache,
    pub(crate) followers: Followers,
    // Unbounded, but what goes in was paid for: an outcome with a permit, a hydrated user with a place in the roster.
    pub(crate) shards: Vec<UnboundedSender<ShardEvent>>,
    pub(crate) live_actors: AtomicUsize,
    pub(crate) journal_failed: AtomicBool,
    pub(crate) closing: AtomicBool,
    pub(crate) metrics: Metrics,
}

impl Shared {
    /// The shard that a user's actor lives on.
    pub(crate) fn shard_of(&self, user: &UserId) -> usize {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        (hasher.finish() % self.shards.len() as u64) as usize
    }

    /// The calendar day now.
    pub(crate) fn today(&self) -> Day {
        self.today.day(self.clock.now_micros())
    }

    /// Takes a request to its user. Never blocks; a full queue hands it back.
    pub(crate) fn dispatch(&self, user: UserId, request: Request) -> Result<(), Box<Request>> {
        let sent = self.roster.dispatch(user, request, &self.commits);
        sent.inspect_err(|_| self.metrics.mailbox_rejected.increment(1))
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
