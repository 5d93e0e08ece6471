//! The parts of the live state that know no actor, shared by all threads.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use domain::access::Policy;
use domain::day::Day;
use domain::port::clock::{Clock, Entropy};
use domain::rules::Rules;

use crate::columns::ProjectionHook;
use crate::commit::{CommitQueue, Permit, Permits};
use crate::error::Busy;
use crate::metric::Metrics;
use crate::options::Options;
use crate::outlet::CursorKey;
use crate::priority::Priority;
use crate::today::Today;
use crate::view_cache::ViewCache;

/// Time, rules, policy, the way to the journal, and the view cache: all that an actor's state needs of the system.
pub(crate) struct Services {
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) rules_fingerprint: u32,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) today: Today,
    pub(crate) cursors: CursorKey,
    pub(crate) permits: Arc<Permits>,
    pub(crate) commits: CommitQueue,
    pub(crate) cache: ViewCache,
    /// Set once the fate of a group is unknown. Nothing is committed after it.
    pub(crate) journal_failed: AtomicBool,
    /// Follows the committed states of all users.
    pub(crate) projection: ProjectionHook,
    pub(crate) metrics: Metrics,
}

impl Services {
    /// Returns the calendar day now.
    pub(crate) fn today(&self) -> Day {
        self.today.day(self.clock.now_micros())
    }

    /// Takes a permit for a commit. Never waits.
    pub(crate) fn take_permit(&self, priority: Priority) -> Result<Permit, Busy> {
        let permit = self.permits.take(priority);
        permit.inspect_err(|_| self.metrics.permits_refused(priority).increment(1))
    }

    /// Returns whether a feed event could have a permit now. If not, it is refused before it waits for anything.
    pub(crate) fn accepts_feed_events(&self) -> bool {
        let is_open = self.permits.is_open(Priority::Feed);
        if !is_open {
            self.metrics.permits_refused(Priority::Feed).increment(1);
        }
        is_open
    }

    /// Returns random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
