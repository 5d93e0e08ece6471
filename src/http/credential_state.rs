//! State of the handlers that begin and end sessions and that revoke credentials.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use domain::port::registry::RegistryError;
use tokio::time::Instant;

use super::problem::{Code, Problem};
use super::request::access_control::AccessControl;
use super::request::body::{self, BodyLimits, RequestBody};
use super::request::headers;
use super::request::in_flight::{InFlight, Purpose};

/// Maximum size of a body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// State of `/api/v2/session` and `/admin/revocations`.
pub(crate) struct CredentialState {
    pub(crate) access_control: Data<AccessControl>,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of a body.
    pub(crate) body_timeout: Duration,
}

impl CredentialState {
    /// Reads a body of JSON.
    ///
    /// # Errors
    /// The body is of another type, or breaks a limit.
    pub(super) async fn read_json(&self, headers: &HeaderMap, payload: Payload) -> Result<RequestBody, Problem> {
        if !headers::content_type(headers)?.is("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"));
        }
        let limits = BodyLimits {
            size: MAX_BODY,
            advice: "the body has at most 16 KiB",
            deadline: Instant::now() + self.request_timeout,
            pause: self.body_timeout,
            in_flight: &self.in_flight,
            purpose: Purpose::CitizenWrite,
        };
        body::read(headers, payload, limits).await
    }
}

/// Runs what waits for the disk on a thread for that.
///
/// # Errors
/// It has panicked.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = |_| Problem::new(Code::Internal, "the request could not be handled");
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// Returns the problem of a change that the registry did not store.
pub(super) fn storage_failed(error: &RegistryError) -> Problem {
    let cause: &dyn std::error::Error = error;
    tracing::error!(error = cause, "a session or revocation could not be stored");
    match error {
        RegistryError::Size => Problem::new(Code::InvalidParameter, "the name of what is revoked is too long"),
        _ => Problem::new(Code::Unavailable, "the change could not be stored: try again"),
    }
}
