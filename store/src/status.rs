//! The health of the store, for the health endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long the store is not ready after a group was not taken for a reason that no test write can check. A client that
/// waits for readiness would never send the write that shows that the store works again, so the fault expires.
const FAULT_LIFETIME: Duration = Duration::from_secs(10);

/// How well the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// Everything works.
    Ok,
    /// Something fails and is retried: the last group was not taken, nothing can be read, a checkpoint failed, or nothing can
    /// be prepared for the next writes.
    Degraded {
        /// What fails, in one line.
        reason: String,
    },
    /// The journal failed, and no write is taken until a restart.
    RefusingWrites {
        /// What fails, in one line.
        reason: String,
    },
}

/// The store's health. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StoreStatus(Arc<Mutex<Faults>>);

#[derive(Debug, Default)]
struct Faults {
    refusing: Option<String>,
    append: Option<(AppendFault, Instant)>,
    unreadable: Option<String>,
    checkpoint: Option<String>,
    reserves: Option<String>,
}

/// Why a group was not taken.
#[derive(Debug)]
pub(crate) struct AppendFault {
    pub(crate) reason: String,
    /// Whether disk space or descriptors have run out. The fault then lasts until the upkeep thread finds them again.
    pub(crate) lasts: bool,
}

impl StoreStatus {
    /// Returns the worst of the known faults.
    pub fn health(&self) -> StoreHealth {
        let faults = self.0.lock();
        if let Some(reason) = &faults.refusing {
            return StoreHealth::RefusingWrites { reason: reason.clone() };
        }
        let append = faults.append.as_ref().map(|(fault, _)| &fault.reason);
        let all = [faults.unreadable.as_ref(), append, faults.checkpoint.as_ref(), faults.reserves.as_ref()];
        match all.into_iter().flatten().next() {
            Some(reason) => StoreHealth::Degraded { reason: reason.clone() },
            None => StoreHealth::Ok,
        }
    }

    /// Returns whether users can be read, and a write is likely to be taken.
    pub fn is_ready(&self) -> bool {
        self.takes_writes() && self.0.lock().unreadable.is_none()
    }

    /// Returns whether a write is likely to be taken: the last one was, or what it lacked is available again, or its
    /// failure is some time ago. A failing checkpoint does not count, because the journal takes writes without it.
    pub fn takes_writes(&self) -> bool {
        self.takes_writes_at(Instant::now())
    }

    fn takes_writes_at(&self, now: Instant) -> bool {
        let faults = self.0.lock();
        let counts =
            |(fault, at): &(AppendFault, Instant)| fault.lasts || now.saturating_duration_since(*at) < FAULT_LIFETIME;
        faults.refusing.is_none() && !faults.append.as_ref().is_some_and(counts)
    }

    /// Returns whether the last group failed for a reason that test writes can check.
    pub(crate) fn is_append_failing(&self) -> bool {
        self.0.lock().append.as_ref().is_some_and(|(fault, _)| fault.lasts)
    }

    /// Records that test writes succeed.
    pub(crate) fn append_works(&self) {
        self.0.lock().append = None;
    }

    /// Returns whether no write is taken until a restart.
    pub(crate) fn is_refusing(&self) -> bool {
        self.0.lock().refusing.is_some()
    }

    /// Records that no write is taken until a restart.
    pub(crate) fn refuse(&self, reason: String) {
        self.0.lock().refusing = Some(reason);
    }

    /// Records the outcome of the last group: a fault, or `None` if it was taken.
    pub(crate) fn set_append(&self, fault: Option<AppendFault>) {
        self.0.lock().append = fault.map(|fault| (fault, Instant::now()));
    }

    /// Records why stored users cannot be read, or `None` if they can.
    pub(crate) fn set_unreadable(&self, fault: Option<String>) {
        self.0.lock().unreadable = fault;
    }

    /// Records why nothing can be prepared for the next writes, or `None` if everything is prepared.
    pub(crate) fn set_reserves(&self, fault: Option<String>) {
        self.0.lock().reserves = fault;
    }

    /// Records why the last checkpoint failed, or `None` if it succeeded.
    pub(crate) fn set_checkpoint(&self, fault: Option<String>) {
        self.0.lock().checkpoint = fault;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(lasts: bool) -> Option<AppendFault> {
        Some(AppendFault { reason: "no room".to_owned(), lasts })
    }

    #[test]
    fn a_group_that_was_not_taken_counts_until_one_is_or_for_a_while() {
        let status = StoreStatus::default();
        assert!(status.takes_writes());
        status.set_checkpoint(Some("sled failed".to_owned()));
        assert!(status.is_ready());
        status.set_append(fault(false));
        assert!(!status.takes_writes());
        assert!(status.takes_writes_at(Instant::now() + FAULT_LIFETIME));
        status.set_append(None);
        assert!(status.takes_writes());
        status.refuse("the sync failed".to_owned());
        assert!(!status.takes_writes_at(Instant::now() + FAULT_LIFETIME));
    }

    #[test]
    fn a_lack_counts_for_as_long_as_it_lasts() {
        let status = StoreStatus::default();
        status.set_append(fault(true));
        assert!(!status.takes_writes_at(Instant::now() + 1000 * FAULT_LIFETIME));
        status.append_works();
        assert!(status.takes_writes());
    }

    #[test]
    fn a_store_that_cannot_be_read_is_not_ready() {
        let status = StoreStatus::default();
        status.set_unreadable(Some("sled is closed".to_owned()));
        assert!(status.takes_writes() && !status.is_ready());
        assert!(matches!(status.health(), StoreHealth::Degraded { .. }));
        status.set_unreadable(None);
        assert!(status.is_ready());
    }
}
