//! How far the streams are that post events at the same time.

use crate::tally::Tally;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

/// Maximum number of users that a stream is ahead of the slowest. The mix of events is therefore the same at any time,
/// although feeds have different numbers of events.
const MAX_AHEAD: u64 = 2_000;

/// Counts of all streams.
#[derive(Default)]
pub(super) struct FeedingProgress {
    /// The latest tally of each stream.
    pub(super) tallies: RefCell<Vec<Tally>>,
    pub(super) sent: Cell<u64>,
    pub(super) bytes: Cell<u64>,
    /// Number of users that each stream has rendered, counted over all rounds; the greatest number for a stream that has
    /// ended.
    positions: RefCell<Vec<u64>>,
    /// Notified when a position changes.
    moved: Notify,
    /// The users with any event.
    users: RefCell<Vec<bool>>,
    pub(super) first_rejection: RefCell<Option<String>>,
}

impl FeedingProgress {
    /// Starts without streams, for this number of users.
    pub(super) fn new(users: u64) -> Self {
        Self { users: RefCell::new(vec![false; users as usize]), ..Self::default() }
    }

    /// Adds the next stream.
    pub(super) fn add_stream(&self) {
        self.tallies.borrow_mut().push(Tally::default());
        self.positions.borrow_mut().push(0);
    }

    /// Returns the number of acknowledged events.
    pub(super) fn acknowledged(&self) -> u64 {
        self.tallies.borrow().iter().map(Tally::acknowledged).sum()
    }

    /// Notes that a user has an event.
    pub(super) fn add_user(&self, user: u64) {
        self.users.borrow_mut()[user as usize] = true;
    }

    /// Returns the number of users with any event.
    pub(super) fn users(&self) -> u64 {
        self.users.borrow().iter().filter(|has_events| **has_events).count() as u64
    }

    /// Moves a stream to a position.
    pub(super) fn move_to(&self, stream: usize, position: u64) {
        self.positions.borrow_mut()[stream] = position;
        self.moved.notify_waiters();
    }

    /// Takes a stream out of those that others wait for.
    pub(super) fn end(&self, stream: usize) {
        self.move_to(stream, u64::MAX - MAX_AHEAD);
    }

    /// Waits until a stream at this position is not too far ahead of the slowest.
    pub(super) async fn wait_for_others(&self, position: u64) {
        while self.positions.borrow().iter().min().is_some_and(|slowest| position > slowest + MAX_AHEAD) {
            self.moved.notified().await;
        }
    }
}
