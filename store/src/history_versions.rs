//! Tells loads that the history that they read was thinned meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::user_hash::UserHash;

/// Users share counters, so that a load starts over now and then for another user's sake.
const COUNTERS: usize = 256;

/// Counts, for groups of users, how often history was rewritten. A count is odd while that is under way.
pub(crate) struct HistoryVersions {
    counters: [AtomicU64; COUNTERS],
    /// Locked while something is rewritten.
    rewriting: Mutex<()>,
}

/// The count that a load began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryVersion(u64);

impl HistoryVersions {
    pub(crate) fn new() -> Self {
        Self { counters: [const { AtomicU64::new(0) }; COUNTERS], rewriting: Mutex::new(()) }
    }

    fn counter(&self, user: &UserHash) -> &AtomicU64 {
        // Histories are rewritten in the order of the hashes, so the first bytes of those that follow each other are the same.
        &self.counters[usize::from(user.0[15])]
    }

    /// Returns the version that a load of a user's history begins with.
    pub(crate) fn begin_load(&self, user: &UserHash) -> HistoryVersion {
        HistoryVersion(self.counter(user).load(Ordering::SeqCst))
    }

    /// Returns whether nothing was rewritten since a load began.
    pub(crate) fn is_unchanged(&self, user: &UserHash, since: HistoryVersion) -> bool {
        since.0.is_multiple_of(2) && self.begin_load(user) == since
    }

    /// Keeps all histories as they are while the guard lives, for a load that has started over too often.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.rewriting.lock()
    }

    /// Runs `write`, which rewrites history of a user.
    pub(crate) fn rewrite<T>(&self, user: &UserHash, write: impl FnOnce() -> T) -> T {
        let _rewriting = self.rewriting.lock();
        let counter = self.counter(user);
        counter.fetch_add(1, Ordering::SeqCst);
        let written = write();
        counter.fetch_add(1, Ordering::SeqCst);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_notices_what_is_rewritten_before_it_ends() {
        let (versions, user, other) = (HistoryVersions::new(), UserHash([1; 16]), UserHash([2; 16]));
        let before = versions.begin_load(&user);
        assert!(versions.is_unchanged(&user, before));
        let during = versions.rewrite(&user, || versions.begin_load(&user));
        assert!(!versions.is_unchanged(&user, before) && !versions.is_unchanged(&user, during));
        assert!(versions.is_unchanged(&user, versions.begin_load(&user)));
        assert!(versions.is_unchanged(&other, HistoryVersion(0)));
    }
}
