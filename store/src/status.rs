//! How the store is, for the health endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a group that was not taken speaks against the store. Whoever sends writes elsewhere meanwhile would never
/// learn that there is room again, so after a while one may try.
const MEMORY: Duration = Duration::from_secs(10);

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Ok,
    /// Something does not work now and is tried again: the last group was not taken, or a checkpoint failed.
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
pub struct Status(Arc<Mutex<Faults>>);

#[derive(Debug, Default)]
struct Faults {
    refusing: Option<String>,
    append: Option<(String, Instant)>,
    checkpoint: Option<String>,
}

impl Status {
    /// The worst of what is known.
    pub fn health(&self) -> Health {
        let faults = self.0.lock();
        if let Some(reason) = &faults.refusing {
            return Health::RefusingWrites { reason: reason.clone() };
        }
        let append = faults.append.as_ref().map(|(reason, _)| reason);
        match append.or(faults.checkpoint.as_ref()) {
            Some(reason) => Health::Degraded { reason: reason.clone() },
            None => Health::Ok,
        }
    }

    /// Whether a write is likely to be taken: the last one was, or its failure is a while ago. A checkpoint that fails
    /// does not count, since the journal takes writes without it.
    pub fn takes_writes(&self) -> bool {
        self.takes_writes_at(Instant::now())
    }

    fn takes_writes_at(&self, now: Instant) -> bool {
        let faults = self.0.lock();
        let failing = faults.append.as_ref().is_some_and(|(_, at)| now.saturating_duration_since(*at) < MEMORY);
        faults.refusing.is_none() && !failing
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.0.lock().refusing.is_some()
    }

    pub(crate) fn refuse(&self, reason: String) {
        self.0.lock().refusing = Some(reason);
    }

    /// The outcome of the last group: a reason, or none when it was taken.
    pub(crate) fn append(&self, fault: Option<String>) {
        self.0.lock().append = fault.map(|reason| (reason, Instant::now()));
    }

    /// The outcome of the last checkpoint.
    pub(crate) fn checkpoint(&self, fault: Option<String>) {
        self.0.lock().checkpoint = fault;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_not_taken_counts_until_one_is_or_for_a_while() {
        let status = Status::default();
        assert!(status.takes_writes());
        status.checkpoint(Some("sled failed".to_owned()));
        assert!(status.takes_writes());
        status.append(Some("no room".to_owned()));
        assert!(!status.takes_writes());
        assert!(status.takes_writes_at(Instant::now() + MEMORY));
        status.append(None);
        assert!(status.takes_writes());
        status.refuse("the sync failed".to_owned());
        assert!(!status.takes_writes_at(Instant::now() + MEMORY));
    }
}
