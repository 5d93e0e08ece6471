//! The open sockets and profile streams: counted in all, and bounded for each caller.

use std::sync::Arc;

use metrics::Gauge;

use crate::keyed_counts::{KeyedCount, KeyedCounts};
use crate::telemetry::metric;

/// The open sockets and profile streams of all callers.
pub(crate) struct Sockets {
    by_caller: Arc<KeyedCounts<String>>,
    open: Gauge,
}

impl Sockets {
    /// Returns the sockets of a server on which each caller may have `max_per_caller`.
    pub(crate) fn new(max_per_caller: usize) -> Self {
        Self { by_caller: KeyedCounts::new(max_per_caller), open: metric::live_connections() }
    }

    /// Returns a slot for one more socket of `caller`; `None` if the caller has as many as it may.
    pub(super) fn enter(&self, caller: &str) -> Option<SocketSlot> {
        let count = self.by_caller.enter(caller.to_owned())?;
        self.open.increment(1);
        Some(SocketSlot { _count: count, open: self.open.clone() })
    }
}

/// The place of one open socket, which is free again when the slot is dropped.
pub(super) struct SocketSlot {
    _count: KeyedCount<String>,
    open: Gauge,
}

impl Drop for SocketSlot {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}
