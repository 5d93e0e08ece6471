//! What the log counts.

use std::io;
use std::time::Duration;

use domain::port::audit::{AuditCategory, AuditError};

use crate::metric::AuditHandles;

/// Counts what happens to entries.
pub(super) struct AuditMetrics(AuditHandles);

impl AuditMetrics {
    /// Registers with the recorder that is installed now.
    pub(super) fn register() -> Self {
        Self(AuditHandles::register())
    }

    pub(super) fn written(&self, category: AuditCategory, entries: usize) {
        self.0.entries[category as usize].increment(entries as u64);
    }

    pub(super) fn dropped(&self, category: AuditCategory, entries: usize) {
        self.0.dropped[category as usize].increment(entries as u64);
    }

    /// Counts and logs a write or a sync that failed.
    pub(super) fn failed(&self, category: AuditCategory, error: &io::Error) {
        self.0.failures[category as usize].increment(1);
        tracing::error!("entries of the audit log of {} were not written: {error}", category.name());
    }

    /// Counts an entry that was not durable in time.
    pub(super) fn refused(&self, category: AuditCategory, error: AuditError) {
        if error == AuditError::TimedOut {
            self.0.failures[category as usize].increment(1);
            tracing::error!("an entry of the audit log of {} was not durable in time", category.name());
        }
    }

    pub(super) fn anchor_failed(&self) {
        self.0.anchor_failures.increment(1);
    }

    pub(super) fn synced(&self, took: Duration) {
        self.0.syncs.record(took.as_secs_f64());
    }
}
