//! State of the handler.

use std::sync::Arc;
use std::time::Duration;

use actors::Profiles;
use domain::port::audit_trail::AuditTrail;
use domain::port::clock::Clock;
use domain::port::dead_letters::RejectedEvents;
use tokio::sync::watch;

use super::permits::ExportPermits;
use crate::http::request::caller::Verifier;

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
    pub(crate) permits: ExportPermits,
}
