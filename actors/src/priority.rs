//! Who may use how much of a bounded resource (ADR 0011).
//!
//! Three classes share each resource: feeds, reads, and a citizen's own writes. Each class has a bound on what is taken
//! in all, and the bounds grow from class to class. So feeds cannot take the places that are kept for reads, and neither
//! can take those that are kept for a citizen's own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The smallest reserve of a number of things: a percentage of a small bound would be none.
const LEAST_PLACES: usize = 16;
/// The smallest reserve of bytes: a citizen's own write is small, but the state that it makes may not be.
const LEAST_BYTES: usize = 16 << 20;

/// The class of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// An event of a feed, which its sender sends again.
    Feed,
    /// A read, or something else that is small and that somebody waits for.
    Read,
    /// A write that the citizen makes: a withdrawal of consent must not fail because others are busy.
    OwnWrite,
}

/// The bound of each class on what all of them have taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    feed: usize,
    read: usize,
    own_write: usize,
}

impl Limits {
    /// `feed` places for everybody, `reads` more for all but feeds, and `own_writes` more for own writes alone.
    pub(crate) fn new(feed: usize, reads: usize, own_writes: usize) -> Self {
        let read = feed.saturating_add(reads);
        Self { feed, read, own_write: read.saturating_add(own_writes) }
    }

    /// `feed` places for everybody; a reserve of `percent` of them for reads, and another for own writes.
    pub(crate) fn of_places(feed: usize, percent: usize) -> Self {
        Self::with_reserve(feed, percent, LEAST_PLACES)
    }

    /// The same in bytes.
    pub(crate) fn of_bytes(feed: usize, percent: usize) -> Self {
        Self::with_reserve(feed, percent, LEAST_BYTES)
    }

    fn with_reserve(feed: usize, percent: usize, least: usize) -> Self {
        let reserve = (feed.saturating_mul(percent) / 100).max(least);
        Self::new(feed, reserve, reserve)
    }

    /// The bound of a class.
    pub(crate) fn of(self, priority: Priority) -> usize {
        match priority {
            Priority::Feed => self.feed,
            Priority::Read => self.read,
            Priority::OwnWrite => self.own_write,
        }
    }
}

/// Counts what is taken of a resource.
#[derive(Debug, Default)]
pub(crate) struct Pool(AtomicUsize);

impl Pool {
    /// Takes one place if fewer than `limit` are taken. Never more are taken, not even for a moment: what did not get a
    /// place must not stand in the way of a class with a higher limit.
    pub(crate) fn try_take(&self, limit: usize) -> bool {
        let one_more = |taken: usize| (taken < limit).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Takes some more, whatever the limit.
    pub(crate) fn add(&self, amount: usize) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, amount: usize) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// How much is taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some of a pool, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    amount: usize,
}

impl Share {
    /// Takes `amount` if less than `limit` is taken. One share may reach beyond the limit: otherwise what is larger than
    /// the limit could never be had.
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
        assert_eq!(Limits::of_places(1_000, 10), Limits::new(1_000, 100, 100));
        assert_eq!(Limits::of_places(1, 10), Limits::new(1, LEAST_PLACES, LEAST_PLACES));
        assert_eq!(Limits::of_bytes(1, 10), Limits::new(1, LEAST_BYTES, LEAST_BYTES));
        assert_eq!(Limits::of_places(usize::MAX, 10).of(Priority::OwnWrite), usize::MAX);
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
