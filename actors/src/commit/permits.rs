//! Commit permits: they limit everything that is pending, in commits and in bytes.

use std::sync::Arc;

use domain::port::store::ProfileStore;

use crate::error::Busy;
use crate::priority::{Limits, Pool, Priority};

/// Limits of everything that is pending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PermitLimits {
    /// Maximum number of commits.
    pub(crate) commits: Limits,
    /// Maximum number of bytes that pending states and their records keep in memory.
    pub(crate) bytes: Limits,
}

/// Hands out permits within the limits.
pub(crate) struct Permits {
    commits: Pool,
    bytes: Pool,
    limits: PermitLimits,
    lag: CheckpointLag,
}

/// The permit of one pending commit, given back when it is dropped.
pub(crate) struct Permit {
    permits: Arc<Permits>,
    priority: Priority,
    bytes: usize,
}

/// How far the checkpoint is behind the journal. Feeds that append faster than the checkpoint advances would fill the disk,
/// so they get fewer permits.
pub(crate) struct CheckpointLag {
    pub(crate) store: Arc<dyn ProfileStore>,
    pub(crate) max_bytes: u64,
}

impl CheckpointLag {
    /// Returns how many of `permits` feeds may have now: all of them up to half of the maximum lag, none from the maximum
    /// on, and ever fewer in between, so that feeds slow down before they are refused.
    fn permits_for_feeds(&self, permits: usize) -> usize {
        let half = self.max_bytes / 2;
        let unfolded = self.store.unfolded_bytes();
        if unfolded <= half {
            return permits;
        }
        let left = self.max_bytes.saturating_sub(unfolded) as f64 / (self.max_bytes - half) as f64;
        (permits as f64 * left).ceil() as usize
    }
}

impl Permits {
    /// Returns permits of which none is taken.
    pub(crate) fn new(limits: PermitLimits, lag: CheckpointLag) -> Arc<Self> {
        Arc::new(Self { commits: Pool::default(), bytes: Pool::default(), limits, lag })
    }

    /// Takes a permit, or returns busy at once. A commit's bytes are known only after its merge, so one commit of each
    /// shard may go beyond the limit; the next one is refused.
    pub(crate) fn take(self: &Arc<Self>, priority: Priority) -> Result<Permit, Busy> {
        if self.are_bytes_taken(priority) || !self.commits.try_take(self.limit(priority)) {
            return Err(Busy);
        }
        Ok(Permit { permits: Arc::clone(self), priority, bytes: 0 })
    }

    /// Returns whether a permit is free now. It takes none, so the permit may be gone a moment later.
    pub(crate) fn is_open(&self, priority: Priority) -> bool {
        !self.are_bytes_taken(priority) && self.commits.taken() < self.limit(priority)
    }

    fn are_bytes_taken(&self, priority: Priority) -> bool {
        self.bytes.taken() >= self.limits.bytes.of(priority)
    }

    fn limit(&self, priority: Priority) -> usize {
        let limit = self.limits.commits.of(priority);
        if priority == Priority::Feed { self.lag.permits_for_feeds(limit) } else { limit }
    }

    /// Returns the bytes of the journal that are in no checkpoint.
    pub(crate) fn lag_bytes(&self) -> u64 {
        self.lag.store.unfolded_bytes()
    }

    /// Returns the number of permits that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.commits.taken()
    }

    /// Returns the bytes that are pending.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.taken()
    }
}

impl Permit {
    /// Adds bytes that the commit keeps in memory until its outcome is dealt with.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.permits.bytes.add(bytes);
    }

    /// Returns the class of the request that the permit was taken for.
    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.bytes.give_back(self.bytes);
        self.permits.commits.give_back(1);
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Permit({:?}, {} bytes)", self.priority, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use domain::id::UserId;
    use domain::port::store::{LoadVisitor, LoadedUser, StoreError};

    use super::*;

    /// A store whose checkpoint is behind by a number of bytes that the test sets.
    #[derive(Default)]
    struct LaggingStore(AtomicU64);

    impl ProfileStore for LaggingStore {
        fn load(&self, _: &UserId, _: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
            Ok(None)
        }

        fn load_history(&self, _: &UserId, _: u64, _: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
            Ok(None)
        }

        fn unfolded_bytes(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn permits(commits: usize, bytes: usize) -> (Arc<Permits>, Arc<LaggingStore>) {
        let store = Arc::new(LaggingStore::default());
        let limits = PermitLimits { commits: Limits::new(commits, 1, 1), bytes: Limits::new(bytes, 100, 100) };
        (Permits::new(limits, CheckpointLag { store: store.clone(), max_bytes: 1_000 }), store)
    }

    #[test]
    fn a_permit_is_free_again_when_it_is_dropped() {
        let (permits, _) = permits(1, 100);
        let permit = permits.take(Priority::Feed).expect("one is free");
        assert_eq!((permits.take(Priority::Feed).err(), permits.taken()), (Some(Busy), 1));
        drop(permit);
        assert_eq!(permits.taken(), 0);
        assert!(permits.take(Priority::Feed).is_ok());
    }

    #[test]
    fn bytes_are_counted_from_the_merge_until_the_permit_is_dropped() {
        let (permits, _) = permits(10, 100);
        let mut permit = permits.take(Priority::Feed).expect("one is free");
        permit.charge(150);
        assert_eq!((permits.bytes(), permits.take(Priority::Feed).err()), (150, Some(Busy)));
        assert!(permits.take(Priority::Read).is_ok());
        let mut read = permits.take(Priority::Read).expect("there is a reserve");
        read.charge(60);
        assert_eq!(permits.take(Priority::Read).err(), Some(Busy));
        assert!(permits.take(Priority::OwnWrite).is_ok(), "there is another for own writes");
        drop((permit, read));
        assert_eq!((permits.bytes(), permits.taken()), (0, 0));
    }

    #[test]
    fn feeds_slow_down_while_the_checkpoint_is_behind_and_nobody_else_does() {
        let (permits, store) = permits(100, 100);
        let free = |priority| std::iter::from_fn(|| permits.take(priority).ok()).collect::<Vec<_>>().len();
        for (unfolded, feeds) in [(0, 100), (500, 100), (750, 50), (999, 1), (1_000, 0), (u64::MAX, 0)] {
            store.0.store(unfolded, Ordering::Relaxed);
            assert_eq!(free(Priority::Feed), feeds, "{unfolded} bytes behind");
            assert_eq!(permits.is_open(Priority::Feed), feeds > 0, "{unfolded} bytes behind");
            assert_eq!((free(Priority::Read), free(Priority::OwnWrite)), (101, 102));
        }
    }
}
