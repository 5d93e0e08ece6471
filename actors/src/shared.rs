//! What every part of the live state shares, from whatever thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::day::Day;
use domain::id::UserId;
use domain::port::clock::{Clock, Entropy};
use domain::rules::Rules;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::mpsc::UnboundedSender;

use crate::commit::{CommitQueue, Permit, Permits};
use crate::error::Busy;
use crate::flights::Flights;
use crate::follower::Followers;
use crate::hydration::LoadQueue;
use crate::metric::Metrics;
use crate::options::Options;
use crate::outlet::CursorKey;
use crate::priority::{Pool, Priority};
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
    /// Look-ups that wait, of callers who must not learn whether a user exists.
    pub(crate) look_ups: Arc<Pool>,
    pub(crate) flights: Arc<Flights>,
    /// Bytes of feed events that wait for their users.
    pub(crate) waiting_bytes: Arc<Pool>,
    pub(crate) shard_key: ShardKey,
    pub(crate) cache: ViewCache,
    pub(crate) followers: Followers,
    // Unbounded, but what goes in was paid for: an outcome with a permit, a hydrated user with a place in the roster.
    pub(crate) shards: Vec<UnboundedSender<ShardEvent>>,
    pub(crate) live_actors: AtomicUsize,
    pub(crate) journal_failed: AtomicBool,
    pub(crate) closing: AtomicBool,
    pub(crate) metrics: Metrics,
}

/// Spreads users over shards. It has a key of this run of the server: otherwise a feed that makes up user ids could put
/// them all on one shard.
pub(crate) struct ShardKey(Hmac<Sha256>);

impl ShardKey {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        // As long as a block of the hash: such a key is used as it is.
        let mut key = [0; 64];
        entropy.fill(&mut key);
        Self(Hmac::new(&key.into()))
    }

    fn shard_of(&self, user: &UserId, shards: usize) -> usize {
        let hash = self.0.clone().chain_update(user.as_str()).finalize().into_bytes();
        let hash = hash.iter().take(8).fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        (hash % shards as u64) as usize
    }
}

impl Shared {
    /// The shard that a user's actor lives on.
    pub(crate) fn shard_of(&self, user: &UserId) -> usize {
        self.shard_key.shard_of(user, self.shards.len())
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

    /// Takes a permit for a commit, or says busy at once.
    pub(crate) fn take_permit(&self, priority: Priority) -> Result<Permit, Busy> {
        let permit = self.permits.take(priority);
        permit.inspect_err(|_| self.metrics.permits_refused(priority).increment(1))
    }

    /// Whether an event of a feed could have a permit now. It is refused otherwise, before it waits for anything.
    pub(crate) fn takes_feed_events(&self) -> bool {
        let is_open = self.permits.is_open(Priority::Feed);
        if !is_open {
            self.metrics.permits_refused(Priority::Feed).increment(1);
        }
        is_open
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn the_shard_of_a_user_depends_on_the_key() {
        let users: Vec<_> = (0..64).filter_map(|number| UserId::parse(&format!("usr_{number:012}")).ok()).collect();
        let shards = |key: u8| {
            let key = ShardKey::new(&Fixed(key));
            users.iter().map(|user| key.shard_of(user, 4)).collect::<Vec<_>>()
        };
        assert_eq!(shards(1), shards(1));
        assert_ne!(shards(1), shards(2));
        assert!((0..4).all(|shard| shards(1).contains(&shard)), "all shards are used");
    }
}
