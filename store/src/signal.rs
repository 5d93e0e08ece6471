//! A signal that wakes a waiting thread.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A flag that one thread waits for and any thread sets.
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

    /// Wakes the waiter for the last time: its wait returns `false`.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until the signal is set, `longest` at most, and resets it. Returns `false` once it is closed.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_set && !state.is_closed {
            self.changed.wait_for(&mut state, longest);
        }
        state.is_set = false;
        !state.is_closed
    }
}
