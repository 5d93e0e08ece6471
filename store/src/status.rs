//! How the store is, for the health endpoint.

use std::sync::Arc;

use parking_lot::Mutex;

/// Whether the store takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Ok,
    /// Something does not work now and is tried again: the last group was not taken, or a checkpoint failed.
    Degraded {
        /// What, in one line.
        reason: String,
    },
    /// The journal failed for good: no write is taken until restart.
    RefusingWrites {
        /// What, in one line.
        reason: String,
    },
}

/// The store's health, shared by its threads and whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Status(Arc<Mutex<Faults>>);

#[derive(Debug, Default)]
struct Faults {
    refusing: Option<String>,
    append: Option<String>,
    checkpoint: Option<String>,
}

impl Status {
    /// The worst of what is known.
    pub fn health(&self) -> Health {
        let faults = self.0.lock();
        if let Some(reason) = &faults.refusing {
            return Health::RefusingWrites { reason: reason.clone() };
        }
        match faults.append.as_ref().or(faults.checkpoint.as_ref()) {
            Some(reason) => Health::Degraded { reason: reason.clone() },
            None => Health::Ok,
        }
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.0.lock().refusing.is_some()
    }

    pub(crate) fn refuse(&self, reason: String) {
        self.0.lock().refusing = Some(reason);
    }

    /// The outcome of the last group: a reason, or none when it was taken.
    pub(crate) fn append(&self, fault: Option<String>) {
        self.0.lock().append = fault;
    }

    /// The outcome of the last checkpoint.
    pub(crate) fn checkpoint(&self, fault: Option<String>) {
        self.0.lock().checkpoint = fault;
    }
}
