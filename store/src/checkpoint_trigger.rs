//! Wakes the checkpoint thread: the journal has grown, or the store closes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Shared by the appender, which counts bytes, and the checkpoint thread, which waits.
pub(crate) struct CheckpointTrigger {
    /// Bytes appended since start-up, and those of before that no checkpoint had then.
    appended: AtomicU64,
    /// How many of them a checkpoint has.
    folded: AtomicU64,
    /// The count at which the next checkpoint is due.
    due_at: AtomicU64,
    limit: u64,
    closing: AtomicBool,
    lock: Mutex<()>,
    rung: Condvar,
}

impl CheckpointTrigger {
    /// A bell that rings when `limit` bytes were appended since the last checkpoint.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            appended: AtomicU64::new(0),
            folded: AtomicU64::new(0),
            due_at: AtomicU64::new(limit),
            limit,
            closing: AtomicBool::new(false),
            lock: Mutex::new(()),
            rung: Condvar::new(),
        }
    }

    pub(crate) fn appended(&self, bytes: u64) {
        let before = self.appended.fetch_add(bytes, Ordering::AcqRel);
        let due_at = self.due_at.load(Ordering::Relaxed);
        if before < due_at && before + bytes >= due_at {
            self.ring();
        }
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.ring();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Whether the journal has grown too much.
    pub(crate) fn is_due(&self) -> bool {
        self.appended.load(Ordering::Relaxed) >= self.due_at.load(Ordering::Relaxed)
    }

    /// The count of bytes that a checkpoint has if it folds everything that is durable from here on.
    pub(crate) fn count(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// A checkpoint has all bytes up to this count.
    pub(crate) fn set_folded(&self, count: u64) {
        self.folded.fetch_max(count, Ordering::AcqRel);
    }

    /// How many bytes no checkpoint has.
    pub(crate) fn unfolded_bytes(&self) -> u64 {
        self.count().saturating_sub(self.folded.load(Ordering::Acquire))
    }

    /// Whether checkpoints are so far behind that one must not take its time.
    pub(crate) fn is_behind(&self) -> bool {
        self.unfolded_bytes() / 2 >= self.limit
    }

    /// Counts from now on for the next checkpoint.
    pub(crate) fn start_over(&self) {
        self.due_at.store(self.appended.load(Ordering::Relaxed) + self.limit, Ordering::Relaxed);
    }

    /// Waits until the store closes, or the journal has grown too much and `shortest` is over, or `longest` is over.
    pub(crate) fn wait(&self, shortest: Duration, longest: Duration) {
        let start = Instant::now();
        let mut guard = self.lock.lock();
        while !self.is_closing() {
            let pause = if self.is_due() { shortest.min(longest) } else { longest };
            let Some(rest) = pause.checked_sub(start.elapsed()).filter(|rest| !rest.is_zero()) else { return };
            self.rung.wait_for(&mut guard, rest);
        }
    }

    fn ring(&self) {
        // Under the lock, so that it cannot fall between the waiter's look and its sleep.
        let _guard = self.lock.lock();
        self.rung.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_grows_fast_does_not_bring_checkpoints_close_together() {
        let checkpoint_trigger = CheckpointTrigger::new(100);
        let wait = || {
            let start = Instant::now();
            checkpoint_trigger.wait(Duration::from_millis(40), Duration::from_secs(3600));
            start.elapsed()
        };
        for _ in 0..3 {
            checkpoint_trigger.appended(1000);
            assert!(checkpoint_trigger.is_due());
            assert!(wait() >= Duration::from_millis(40));
            checkpoint_trigger.start_over();
        }
        checkpoint_trigger.close();
        wait();
    }
}
