//! State of the handlers that read the audit log.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use domain::port::audit_trail::{AuditReadError, AuditTrail};

use crate::http::problem::{Code, Problem};

/// State of the handlers that read the audit log.
pub(crate) struct AuditState {
    pub(crate) trail: Arc<dyn AuditTrail>,
}

impl AuditState {
    /// Reads the log on a thread that may block.
    ///
    /// # Errors
    /// The read has failed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn AuditTrail) -> Result<T, AuditReadError> + Send + 'static,
    ) -> Result<T, Problem> {
        let trail = Arc::clone(&self.trail);
        let read = tokio::task::spawn_blocking(move || read(&*trail)).await;
        read.map_err(|error| {
            tracing::error!(%error, "a read of the audit log has ended early");
            unavailable()
        })?
        .map_err(Problem::from)
    }
}

fn unavailable() -> Problem {
    Problem::new(Code::Unavailable, "the audit log cannot be read now: try again")
}

impl From<AuditReadError> for Problem {
    fn from(error: AuditReadError) -> Self {
        match error {
            AuditReadError::NoSuchTree => {
                Self::new(Code::InvalidParameter, "the audit log has no entry or tree of that number yet")
            }
            error => {
                tracing::error!(%error, "the audit log could not be read");
                unavailable()
            }
        }
    }
}

/// Answers with JSON text, which no cache keeps.
pub(super) fn answer(json: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .content_type("application/json")
        .body(json)
}
