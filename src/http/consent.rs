//! `PUT /api/v2/profile/{user_id}/consent`: citizens change their consent, which becomes a `user.consent.updated`
//! event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actors::{Profiles, Status, WriteError};
use domain::event::{FeedEventType, RegisterPath, RegisterWrite};
use domain::pipeline::validate::validate_consent_put;
use domain::port::clock::Clock;
use domain::rules::Rules;
use domain::table::LeafSet;
use serde_json::json;

use super::audit::Disclosed;
use super::problem::{Code, Problem};
use super::request::body::{self, BodyLimits, RequestBody};
use super::request::context::RequestContext;
use super::request::headers;
use super::request::in_flight::{InFlight, Purpose};

/// Maximum size of the body, in bytes.
pub(super) const MAX_BODY: usize = 4 * 1024;

/// State of `PUT /api/v2/profile/{user_id}/consent`.
pub(crate) struct ConsentState {
    pub(crate) profiles: Profiles,
    /// The rules of validation.
    pub(crate) rules: Arc<Rules>,
    /// The clock that the times in the body are checked against.
    pub(crate) clock: Arc<dyn Clock>,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of the body.
    pub(crate) body_timeout: Duration,
}

/// Stores the citizen's consent, and answers with the resulting revision.
pub(super) async fn put(
    context: &RequestContext,
    (payload, state): (Payload, Data<ConsentState>),
) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let deadline = tokio::time::Instant::from_std(received) + state.request_timeout;
    let user = context.user()?;
    check_content_type(context.headers())?;
    let body = read_body(&state, context.headers(), payload, deadline).await?;
    // The actor sets the event's id, and a time that is later than those of the values that it overwrites.
    let event = validate_consent_put(
        &body,
        FeedEventType::UserConsentUpdated,
        "",
        user,
        state.clock.now_micros(),
        &state.rules,
    )
    .map_err(|rejection| Problem::rejected(&rejection))?;
    context.disclose(Disclosed { leaves: leaves(&event.writes), generation: None });
    context.record_write().await?;
    let write = state.profiles.put_consent(user, event.writes, received);
    let acknowledged = match tokio::time::timeout_at(deadline, write).await {
        Ok(Ok(status)) => acknowledged_revision(status),
        Ok(Err(WriteError::Erased)) => acknowledged_revision(Status::Erased),
        Ok(Err(WriteError::Busy)) => acknowledged_revision(Status::Busy),
        Err(_) => Err(Problem::new(Code::Timeout, "the consent was not acknowledged in time: send it again")),
    };
    // The actor may still take it, or the disk may have it although its sync has failed.
    let revision = acknowledged.inspect_err(|_| context.leave_outcome_open())?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(json!({ "revision": revision })))
}

/// Returns the leaves that the writes are to.
fn leaves(writes: &[RegisterWrite]) -> LeafSet {
    let leaves = writes.iter().filter_map(|write| match write.path {
        RegisterPath::Leaf(leaf) => Some(LeafSet::only(leaf)),
        _ => None,
    });
    leaves.fold(LeafSet::EMPTY, LeafSet::or)
}

async fn read_body(
    state: &ConsentState,
    headers: &HeaderMap,
    payload: Payload,
    deadline: tokio::time::Instant,
) -> Result<RequestBody, Problem> {
    let limits = BodyLimits {
        size: MAX_BODY,
        advice: "a consent has at most 4 KiB",
        deadline,
        pause: state.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::CitizenWrite,
    };
    body::read(headers, payload, limits).await
}

/// Returns the revision that holds the consent.
///
/// # Errors
/// The write was not acknowledged.
fn acknowledged_revision(status: Status) -> Result<u64, Problem> {
    match status {
        Status::Applied { revision } | Status::Unchanged { revision } | Status::Duplicate { revision } => Ok(revision),
        Status::Erased => Err(Problem::erased()),
        Status::Busy => Err(Problem::new(Code::Busy, "the consent was not acknowledged: send it again")),
    }
}

/// Checks that the body is JSON.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    if headers::content_type(headers)?.is("application/json") {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"))
    }
}
