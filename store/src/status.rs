//! How the store is, for the health endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a group that was not taken speaks against the store when nothing can find out whether the next one would be.
/// Whoever sends writes elsewhere meanwhile would never learn that it would, so after a while one may try.
const MEMORY: Duration = Duration::from_secs(10);

/// How well the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreHealth {
    /// All is well.
    Ok,
    /// Something does not work now and is tried again: the last group was not taken, nothing can be read, a checkpoint
    /// failed, or nothing can be set aside for the next writes.
    Degraded {
        /// What, in one line.
        reason: String,
    },
    /// The journal failed for good: no write is taken until restart.
    RefusingWrites {
        /// What, in one line.
        reason: String,
    },
}

/// The store's health, shared by its threads and whoever asks.
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
    /// Something has run out. The upkeep thread tries until it is there again and says so, whether or not anybody writes.
    pub(crate) lasts: bool,
}

impl StoreStatus {
    /// The worst of what is known.
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

    /// Whether users can be read, and a write is likely to be taken.
    pub fn is_ready(&self) -> bool {
        self.takes_writes() && self.0.lock().unreadable.is_none()
    }

    /// Whether a write is likely to be taken: the last one was, or what it lacked is there again, or its failure is a
    /// while ago. A checkpoint that fails does not count, since the journal takes writes without it.
    pub fn takes_writes(&self) -> bool {
        self.takes_writes_at(Instant::now())
    }

    fn takes_writes_at(&self, now: Instant) -> bool {
        let faults = self.0.lock();
        let counts = |(fault, at): &(AppendFault, Instant)| fault.lasts || now.saturating_duration_since(*at) < MEMORY;
        faults.refusing.is_none() && !faults.append.as_ref().is_some_and(counts)
    }

    /// Whether a lack speaks against the store that trial writes may find gone.
    pub(crate) fn is_append_failing(&self) -> bool {
        self.0.lock().append.as_ref().is_some_and(|(fault, _)| fault.lasts)
    }

    /// Trial writes succeed.
    pub(crate) fn append_works(&self) {
        self.0.lock().append = None;
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.0.lock().refusing.is_some()
    }

    pub(crate) fn refuse(&self, reason: String) {
        self.0.lock().refusing = Some(reason);
    }

    /// The outcome of the last group: a fault, or none when it was taken.
    pub(crate) fn append(&self, fault: Option<AppendFault>) {
        self.0.lock().append = fault.map(|fault| (fault, Instant::now()));
    }

    /// Whether stored users can be read: a reason why not, or none.
    pub(crate) fn unreadable(&self, fault: Option<String>) {
        self.0.lock().unreadable = fault;
    }

    /// Whether room and descriptors are set aside for the next writes: a reason why not, or none.
    pub(crate) fn reserves(&self, fault: Option<String>) {
        self.0.lock().reserves = fault;
    }

    /// The outcome of the last checkpoint.
    pub(crate) fn checkpoint(&self, fault: Option<String>) {
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
        status.checkpoint(Some("sled failed".to_owned()));
        assert!(status.is_ready());
        status.append(fault(false));
        assert!(!status.takes_writes());
        assert!(status.takes_writes_at(Instant::now() + MEMORY));
        status.append(None);
        assert!(status.takes_writes());
        status.refuse("the sync failed".to_owned());
        assert!(!status.takes_writes_at(Instant::now() + MEMORY));
    }

    #[test]
    fn a_lack_counts_for_as_long_as_it_lasts() {
        let status = StoreStatus::default();
        status.append(fault(true));
        assert!(!status.takes_writes_at(Instant::now() + 1000 * MEMORY));
        status.append_works();
        assert!(status.takes_writes());
    }

    #[test]
    fn a_store_that_cannot_be_read_is_not_ready() {
        let status = StoreStatus::default();
        status.unreadable(Some("sled is closed".to_owned()));
        assert!(status.takes_writes() && !status.is_ready());
        assert!(matches!(status.health(), StoreHealth::Degraded { .. }));
        status.unreadable(None);
        assert!(status.is_ready());
    }
}
