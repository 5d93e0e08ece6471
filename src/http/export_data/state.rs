//! State of the handler.

use std::sync::Arc;
use std::time::Duration;

use actors::Profiles;
use domain::port::audit_trail::AuditTrail;
use domain::port::clock::Clock;
use domain::port::dead_letters::RejectedEvents;
use tokio::sync::{Semaphore, watch};

use crate::http::request::caller::Verifier;

/// Maximum number of exports that are sent at the same time. Each holds a few megabytes.
pub(super) const MAX_EXPORTS: usize = 16;

/// State of `GET /api/v2/profile/{user_id}/export-data`.
pub(crate) struct ExportDataState {
    pub(crate) profiles: Profiles,
    pub(crate) letters: Arc<dyn RejectedEvents>,
    pub(crate) trail: Arc<dyn AuditTrail>,
    /// The clock of the time that the document names.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) verifier: Arc<Verifier>,
    /// How long the reading of one piece may take.
    pub(crate) request_timeout: Duration,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
    /// The exports that may be sent.
    pub(crate) permits: Arc<Semaphore>,
}

impl ExportDataState {
    /// Returns the permits for as many exports as may be sent at the same time.
    pub(crate) fn permits() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_EXPORTS))
    }
}
