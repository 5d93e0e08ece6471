//! Wakes the checkpoint thread when the journal has grown enough or the store closes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Counts the bytes that were appended and those that a checkpoint has.
pub(crate) struct CheckpointTrigger {
    /// Bytes appended since start-up, and those that no checkpoint had at start-up.
    appended: AtomicU64,
    /// How many of these bytes a checkpoint has.
    folded: AtomicU64,
    /// The count of appended bytes at which the next checkpoint is due.
    due_at: AtomicU64,
    limit: u64,
    closing: AtomicBool,
    /// How many callers wait for the checkpoint that runs to end.
    waiting: AtomicUsize,
    /// When the last checkpoint has to end, once the store closes.
    deadline: OnceLock<Instant>,
    lock: Mutex<()>,
    woken: Condvar,
}

impl CheckpointTrigger {
    /// Returns a trigger whose checkpoint is due when `limit` bytes were appended since the last one.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            appended: AtomicU64::new(0),
            folded: AtomicU64::new(0),
            due_at: AtomicU64::new(limit),
            limit,
            closing: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            deadline: OnceLock::new(),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    /// Adds bytes that were appended to the journal.
    pub(crate) fn add_appended(&self, bytes: u64) {
        let before = self.appended.fetch_add(bytes, Ordering::AcqRel);
        let due_at = self.due_at.load(Ordering::Relaxed);
        if before < due_at && before + bytes >= due_at {
            self.wake();
        }
    }

    /// Wakes the waiter to end. Checkpoints have `time` from now on; only the first call counts.
    pub(crate) fn close(&self, time: Duration) {
        if let Some(deadline) = Instant::now().checked_add(time) {
            let _ = self.deadline.set(deadline);
        }
        self.closing.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Returns whether the store closes and its time for that is over.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| Instant::now() >= *deadline)
    }

    /// Returns whether the journal has grown by the limit since the last checkpoint.
    pub(crate) fn is_due(&self) -> bool {
        self.appended.load(Ordering::Relaxed) >= self.due_at.load(Ordering::Relaxed)
    }

    /// Returns the count of bytes that a checkpoint has if it folds everything that is durable now.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Records that a checkpoint has all bytes up to this count.
    pub(crate) fn set_folded(&self, count: u64) {
        self.folded.fetch_max(count, Ordering::AcqRel);
    }

    /// Returns the number of bytes that no checkpoint has.
    pub(crate) fn unfolded_bytes(&self) -> u64 {
        self.appended_bytes().saturating_sub(self.folded.load(Ordering::Acquire))
    }

    /// Returns whether checkpoints are so far behind that they must not be paced, or somebody waits for one to end.
    pub(crate) fn is_behind(&self) -> bool {
        self.unfolded_bytes() / 2 >= self.limit || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits with `wait`. Checkpoints are not paced meanwhile.
    pub(crate) fn hurry<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = wait();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        waited
    }

    /// Starts counting for the next checkpoint.
    pub(crate) fn reset(&self) {
        self.due_at.store(self.appended.load(Ordering::Relaxed) + self.limit, Ordering::Relaxed);
    }

    /// Waits until the store closes, or a checkpoint is due and `shortest` has passed, or `longest` has passed.
    pub(crate) fn wait(&self, shortest: Duration, longest: Duration) {
        let start = Instant::now();
        let mut guard = self.lock.lock();
        while !self.is_closing() {
            let pause = if self.is_due() { shortest.min(longest) } else { longest };
            let Some(rest) = pause.checked_sub(start.elapsed()).filter(|rest| !rest.is_zero()) else { return };
            self.woken.wait_for(&mut guard, rest);
        }
    }

    fn wake(&self) {
        // Under the lock, so that the waiter cannot miss it between its check and its sleep.
        let _guard = self.lock.lock();
        self.woken.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_grows_fast_does_not_bring_checkpoints_close_together() {
        const SHORTEST: Duration = Duration::from_millis(5);
        let trigger = CheckpointTrigger::new(100);
        let wait = || {
            let start = Instant::now();
            trigger.wait(SHORTEST, Duration::from_secs(3600));
            start.elapsed()
        };
        for _ in 0..3 {
            trigger.add_appended(1000);
            assert!(trigger.is_due());
            assert!(wait() >= SHORTEST);
            trigger.reset();
        }
        assert!(!trigger.is_out_of_time());
        trigger.close(Duration::ZERO);
        trigger.close(Duration::from_secs(3600));
        assert!(trigger.is_out_of_time());
        wait();
    }
}
