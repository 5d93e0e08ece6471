//! How many exports are sent at the same time, in all and to one caller.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::keyed_counts::{KeyedCount, KeyedCounts};

/// Maximum number of exports that are sent at the same time. Each holds a few megabytes.
const MAX_EXPORTS: usize = 16;
/// Maximum number of them that one caller receives, so that nobody can keep the others waiting by reading slowly.
const MAX_PER_CALLER: usize = 2;

/// The exports that may be sent.
pub(crate) struct ExportPermits {
    all: Arc<Semaphore>,
    by_caller: Arc<KeyedCounts<String>>,
}

/// The place of one export, which is free again when this is dropped.
pub(super) struct ExportPermit {
    _of_all: OwnedSemaphorePermit,
    _of_caller: KeyedCount<String>,
}

impl ExportPermits {
    /// Returns the permits of a server.
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_EXPORTS)), by_caller: KeyedCounts::new(MAX_PER_CALLER) }
    }

    /// Takes a permit; `None` if as many exports are being sent as may be, in all or to this caller.
    pub(super) fn take(&self, caller: &str) -> Option<ExportPermit> {
        let of_caller = self.by_caller.enter(caller.to_owned())?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(ExportPermit { _of_all: of_all, _of_caller: of_caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_leaves_most_places_to_others() {
        let permits = ExportPermits::new();
        let mut held: Vec<_> = (0..MAX_PER_CALLER).filter_map(|_| permits.take("usr_a")).collect();
        assert!(held.len() == MAX_PER_CALLER && permits.take("usr_a").is_none());
        held.extend((0..MAX_EXPORTS).filter_map(|other| permits.take(&format!("usr_{other}"))));
        assert_eq!(held.len(), MAX_EXPORTS);
        assert!(permits.take("usr_z").is_none());
        held.pop();
        assert!(permits.take("usr_z").is_some());
    }
}
