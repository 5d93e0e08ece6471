//! Wakes a thread that waits for something to do.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// One waiter, many wakers.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    is_set: bool,
    is_closed: bool,
}

impl Signal {
    pub(crate) fn set(&self) {
        self.state.lock().is_set = true;
        self.changed.notify_all();
    }

    /// The waiter is to end.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until the signal is set, `longest` at most. `false` when it was closed.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_set && !state.is_closed {
            self.changed.wait_for(&mut state, longest);
        }
        state.is_set = false;
        !state.is_closed
    }
}
