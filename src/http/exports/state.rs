//! State of the handlers of exports.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actors::export::Exports;
use domain::export::{ExportJob, ExportJobId, ExportRules};
use domain::port::audit::AuditValue;
use domain::port::audit_trail::AuditTrail;
use domain::port::clock::Clock;
use domain::rules::Rules;
use tokio::sync::watch;

use crate::http::problem::{Code, Problem};
use crate::http::request::caller::{Caller, Verifier};
use crate::http::request::context::RequestContext;
use crate::http::request::expiry::Expiry;
use crate::http::request::in_flight::InFlight;

/// State of the handlers of exports.
pub(crate) struct ExportState {
    pub(crate) exports: Exports,
    pub(crate) rules: Arc<Rules>,
    pub(crate) export_rules: Arc<ExportRules>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Signs the tree head of each export.
    pub(crate) trail: Arc<dyn AuditTrail>,
    pub(crate) verifier: Arc<Verifier>,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of the body.
    pub(crate) body_timeout: Duration,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

impl ExportState {
    /// Returns what ends an answer that takes long: the end of the token, its revocation, or that of the server.
    pub(super) fn expiry(&self, caller: &Arc<Caller>) -> Expiry {
        Expiry::new(&self.verifier, caller, self.closing.clone())
    }

    /// Signs a tree head of the audit log, which has the entry of an export that is about to begin: nobody can cut it off from
    /// then on.
    ///
    /// # Errors
    /// The head could not be stored. The export must not begin.
    pub(super) async fn sign_tree_head(&self) -> Result<(), Problem> {
        let trail = Arc::clone(&self.trail);
        let signed = tokio::task::spawn_blocking(move || trail.sign_tree_head()).await;
        match signed {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => tracing::error!(%error, "an export was refused: no tree head could be signed"),
            Err(error) => tracing::error!(%error, "an export was refused: signing a tree head has ended early"),
        }
        let detail = "the export could not be recorded, so it did not begin: try again";
        Err(Problem::new(Code::Unavailable, detail))
    }

    /// Returns the job of the path, which changes as it goes on.
    ///
    /// # Errors
    /// The caller has started no such job. The answer is the same as for a job of somebody else.
    pub(super) async fn job(&self, context: &RequestContext) -> Result<watch::Receiver<ExportJob>, Problem> {
        let id = job_id(context)?;
        self.exports.watch(id, context.caller.subject()).await.ok_or_else(unknown_job)
    }
}

/// Notes the job that a call is about, for its entry.
pub(super) fn note_job(context: &RequestContext, id: ExportJobId) {
    context.note("job_id", AuditValue::Text(Cow::Owned(id.to_string())));
}

/// Returns the id in the path.
pub(super) fn job_id(context: &RequestContext) -> Result<ExportJobId, Problem> {
    ExportJobId::parse(context.request.match_info().query("job")).ok_or_else(unknown_job)
}

pub(super) fn unknown_job() -> Problem {
    Problem::new(Code::UnknownResource, "this caller has started no export with this id, or it is forgotten")
}
