//! Users whose actor ended with commits that it had not dealt with.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::id::UserId;
use parking_lot::Mutex;

/// Users with commits that may be durable and did not reach the projection, because their actor ended first: it panicked, or
/// another incarnation wrote. Each of them is loaded from the store, behind those commits, and the projection takes its
/// state before the next actor begins. Mostly empty.
#[derive(Default)]
pub(crate) struct MissedCommits {
    count: AtomicUsize,
    users: Mutex<BTreeSet<UserId>>,
}

impl MissedCommits {
    /// Adds a user.
    pub(crate) fn add(&self, user: UserId) {
        let mut users = self.users.lock();
        users.insert(user);
        self.count.store(users.len(), Ordering::Release);
    }

    /// Removes a user. Returns whether it was there.
    pub(crate) fn remove(&self, user: &UserId) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut users = self.users.lock();
        let is_removed = users.remove(user);
        self.count.store(users.len(), Ordering::Release);
        is_removed
    }

    /// Returns whether no user is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Returns some of the users.
    pub(crate) fn some(&self, count: usize) -> Vec<UserId> {
        if self.is_empty() {
            return Vec::new();
        }
        self.users.lock().iter().take(count).copied().collect()
    }
}
