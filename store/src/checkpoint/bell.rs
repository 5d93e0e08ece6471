//! Wakes the checkpoint thread: the journal has grown, or the store closes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Shared by the appender, which counts bytes, and the checkpoint thread, which waits.
pub(crate) struct Bell {
    /// Bytes appended since start-up.
    appended: AtomicU64,
    /// The count at which the next checkpoint is due.
    due_at: AtomicU64,
    limit: u64,
    closing: AtomicBool,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    /// A bell that rings when `limit` bytes were appended since the last checkpoint.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            appended: AtomicU64::new(0),
            due_at: AtomicU64::new(limit),
            limit,
            closing: AtomicBool::new(false),
            lock: Mutex::new(()),
            rung: Condvar::new(),
        }
    }

    pub(crate) fn appended(&self, bytes: u64) {
        let before = self.appended.fetch_add(bytes, Ordering::Relaxed);
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

    /// Counts from now on for the next checkpoint.
    pub(crate) fn start_over(&self) {
        self.due_at.store(self.appended.load(Ordering::Relaxed) + self.limit, Ordering::Relaxed);
    }

    /// Waits until the bell rings, `longest` at most.
    pub(crate) fn wait(&self, longest: Duration) {
        let mut guard = self.lock.lock();
        if !self.is_due() && !self.is_closing() {
            self.rung.wait_for(&mut guard, longest);
        }
    }

    fn ring(&self) {
        // Under the lock, so that it cannot fall between the waiter's look and its sleep.
        let _guard = self.lock.lock();
        self.rung.notify_all();
    }
}
