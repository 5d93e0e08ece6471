//! Priorities: how much of a bounded resource each class of requests may use (ADR 0011).
//!
//! Three classes share each resource: feeds, reads, and a citizen's own writes. Each class has a limit on what all of
//! them have taken together, and the limits grow from class to class. So feeds cannot take the places that are reserved for
//! reads, and neither can take those that are reserved for a citizen's own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Minimum reserve of places. A percentage of a small limit would be nothing.
const MIN_RESERVED_PLACES: usize = 16;
/// Minimum reserve of bytes. A citizen's own write is small, but the state that it makes may be large.
const MIN_RESERVED_BYTES: usize = 16 << 20;

/// The class of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// An event of a feed. Its sender sends it again if it is refused.
    Feed,
    /// A read, or another small request that a caller waits for.
    Read,
    /// A write that the citizen makes. A withdrawal of consent must not fail because others are busy.
    OwnWrite,
}

/// The limit of each class on what all classes have taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    feed: usize,
    read: usize,
    own_write: usize,
}

impl Limits {
    /// Returns limits of `feed` places for all classes, `reads` more for reads and own writes, and `own_writes` more for own
    /// writes alone.
    pub(crate) fn new(feed: usize, reads: usize, own_writes: usize) -> Self {
        let read = feed.saturating_add(reads);
        Self { feed, read, own_write: read.saturating_add(own_writes) }
    }

    /// Returns limits of `feed` places for all classes, a reserve of `percent` of them for reads, and another for own
    /// writes.
    pub(crate) fn for_places(feed: usize, percent: usize) -> Self {
        Self::with_reserve(feed, percent, MIN_RESERVED_PLACES)
    }

    /// Returns the same limits in bytes.
    pub(crate) fn for_bytes(feed: usize, percent: usize) -> Self {
        Self::with_reserve(feed, percent, MIN_RESERVED_BYTES)
    }

    fn with_reserve(feed: usize, percent: usize, least: usize) -> Self {
        let reserve = (feed.saturating_mul(percent) / 100).max(least);
        Self::new(feed, reserve, reserve)
    }

    /// Returns the limit of a class.
    pub(crate) fn of(self, priority: Priority) -> usize {
        match priority {
            Priority::Feed => self.feed,
            Priority::Read => self.read,
            Priority::OwnWrite => self.own_write,
        }
    }
}

/// Counts what is taken of a bounded resource.
#[derive(Debug, Default)]
pub(crate) struct Pool(AtomicUsize);

impl Pool {
    /// Takes one place if fewer than `limit` are taken. More are never taken, not even for a moment, so that a refused
    /// request does not get in the way of a class with a higher limit.
    pub(crate) fn try_take(&self, limit: usize) -> bool {
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Takes `amount` more, without a limit.
    pub(crate) fn add(&self, amount: usize) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Gives back `amount`.
    pub(crate) fn give_back(&self, amount: usize) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Returns how much is taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A part of a pool, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    amount: usize,
}

impl Share {
    /// Takes `amount` if less than `limit` is taken. One share may go beyond the limit: otherwise an amount larger than the
    /// limit could never be taken.
    pub(crate) fn take(pool: &Arc<Pool>, amount: usize, limit: usize) -> Option<Self> {
        (pool.taken() < limit).then(|| {
            pool.add(amount);
            Self { pool: Arc::clone(pool), amount }
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_cannot_take_the_reserves_and_reads_cannot_take_that_of_own_writes() {
        let (limits, pool) = (Limits::new(4, 2, 1), Pool::default());
        let take_all = |priority| (0..100).filter(|_| pool.try_take(limits.of(priority))).count();
        assert_eq!(take_all(Priority::Feed), 4);
        assert_eq!(take_all(Priority::Read), 2);
        assert_eq!(take_all(Priority::OwnWrite), 1);
        pool.give_back(1);
        assert_eq!((take_all(Priority::Feed), take_all(Priority::Read), take_all(Priority::OwnWrite)), (0, 0, 1));
    }

    #[test]
    fn a_reserve_is_a_percentage_but_never_nothing() {
        assert_eq!(Limits::for_places(1_000, 10), Limits::new(1_000, 100, 100));
        assert_eq!(Limits::for_places(1, 10), Limits::new(1, MIN_RESERVED_PLACES, MIN_RESERVED_PLACES));
        assert_eq!(Limits::for_bytes(1, 10), Limits::new(1, MIN_RESERVED_BYTES, MIN_RESERVED_BYTES));
        assert_eq!(Limits::for_places(usize::MAX, 10).of(Priority::OwnWrite), usize::MAX);
    }

    #[test]
    fn a_share_larger_than_the_limit_can_be_had_and_is_given_back() {
        let pool = Arc::new(Pool::default());
        let share = Share::take(&pool, 100, 10).expect("nothing is taken");
        assert!(Share::take(&pool, 1, 10).is_none());
        drop(share);
        assert_eq!(pool.taken(), 0);
        assert!(Share::take(&pool, 1, 10).is_some());
    }
}
