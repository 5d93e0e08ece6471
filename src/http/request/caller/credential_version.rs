//! One number that moves whenever a credential that was accepted may be accepted no longer.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counts revocations, removed keys and ended sessions. A cached caller remembers the number at which it was checked, and
/// is checked again only when the number has moved. Streams wait for the next one.
pub(crate) struct CredentialVersion {
    number: AtomicU64,
    moved: watch::Sender<u64>,
}

impl CredentialVersion {
    /// Returns the first version. Callers begin with 0, so each is checked once.
    pub(crate) fn new() -> Self {
        Self { number: AtomicU64::new(1), moved: watch::Sender::new(1) }
    }

    /// Returns the current number.
    pub(super) fn current(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Moves the number, after the change that it announces has been made.
    pub(super) fn advance(&self) {
        let number = self.number.fetch_add(1, Ordering::AcqRel) + 1;
        self.moved.send_modify(|moved| *moved = number.max(*moved));
    }

    /// Returns a receiver of later numbers.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }
}
