//! The sockets and streams that are open: counted in all, and bounded for each caller.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Gauge;
use parking_lot::Mutex;

use crate::telemetry::metric;

/// The open sockets.
#[derive(Clone)]
pub(crate) struct Sockets {
    by_caller: Arc<Mutex<HashMap<String, usize>>>,
    most: usize,
    open: Gauge,
}

impl Sockets {
    /// At most `most` for each caller.
    pub(crate) fn new(most: usize) -> Self {
        Self { by_caller: Arc::default(), most, open: metric::live_connections() }
    }

    /// A slot for one more socket of `caller`, if there is one; it is free again when dropped.
    pub(super) fn enter(&self, caller: &str) -> Option<SocketSlot> {
        let mut by_caller = self.by_caller.lock();
        let count = by_caller.entry(caller.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        self.open.increment(1);
        Some(SocketSlot { sockets: self.clone(), caller: caller.to_owned() })
    }
}

/// A socket's slot.
pub(super) struct SocketSlot {
    sockets: Sockets,
    caller: String,
}

impl Drop for SocketSlot {
    fn drop(&mut self) {
        let mut by_caller = self.sockets.by_caller.lock();
        if let Some(count) = by_caller.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                by_caller.remove(&self.caller);
            }
        }
        self.sockets.open.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_socket_is_gone() {
        let sockets = Sockets::new(2);
        let first = sockets.enter("svc:a");
        let second = sockets.enter("svc:a");
        assert!(first.is_some() && second.is_some() && sockets.enter("svc:a").is_none());
        assert!(sockets.enter("svc:b").is_some());
        drop(first);
        assert!(sockets.enter("svc:a").is_some());
        drop(second);
        assert!(sockets.by_caller.lock().is_empty());
    }
}
