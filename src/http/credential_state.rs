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

/// Maximum size of the body of an operator, in bytes.
pub(super) const MAX_OPERATOR_BODY: usize = 16 * 1024;
/// Maximum size of a body with a one-time code, in bytes. Codes have at most 4 KiB.
pub(super) const MAX_LOGIN_BODY: usize = 5 * 1024;

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
    /// Reads a body of JSON of an operator.
    ///
    /// # Errors
    /// The body is of another type, or breaks a limit.
    pub(super) async fn read_json(&self, headers: &HeaderMap, payload: Payload) -> Result<RequestBody, Problem> {
        self.read(
            headers,
            payload,
            self.limits(MAX_OPERATOR_BODY, "the body has at most 16 KiB", Purpose::CitizenWrite),
        )
        .await
    }

    /// Reads a body of JSON with a one-time code. Anyone can send one, so it takes nothing of the memory that is kept for
    /// citizens' writes.
    ///
    /// # Errors
    /// As [`Self::read_json`].
    pub(super) async fn read_login(&self, headers: &HeaderMap, payload: Payload) -> Result<RequestBody, Problem> {
        self.read(headers, payload, self.limits(MAX_LOGIN_BODY, "the body has at most 5 KiB", Purpose::Feed)).await
    }

    /// Returns the limits of a large body of an operator, which takes nothing of the memory that is kept for citizens' writes.
    pub(super) fn limits_of_backup(&self, size: usize, advice: &'static str) -> BodyLimits<'_> {
        self.limits(size, advice, Purpose::Feed)
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        payload: Payload,
        limits: BodyLimits<'_>,
    ) -> Result<RequestBody, Problem> {
        if !headers::content_type(headers)?.is("application/json") {
            return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"));
        }
        body::read(headers, payload, limits).await
    }

    fn limits(&self, size: usize, advice: &'static str, purpose: Purpose) -> BodyLimits<'_> {
        let deadline = Instant::now() + self.request_timeout;
        BodyLimits { size, advice, deadline, pause: self.body_timeout, in_flight: &self.in_flight, purpose }
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
