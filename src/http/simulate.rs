//! `POST /api/v2/profile/{user_id}/simulate`: the profile that would result from hypothetical feed events. Nothing is
//! stored, no revision is made, and no live client is told.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actors::Profiles;
use actors::reading::{Simulate, SimulatedProfile};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::json::{self, Json};
use domain::pipeline::validate::validate_hypothetical;
use domain::port::clock::Clock;
use domain::rules::Rules;

use super::audit::Disclosed;
use super::problem::{Code, Problem};
use super::request::access::read_within;
use super::request::body::{self, BodyLimits};
use super::request::context::RequestContext;
use super::request::in_flight::{InFlight, Purpose};
use super::request::{headers, schema_version};
use crate::json_text;

/// Maximum size of the body, in bytes.
pub(super) const MAX_BODY: usize = 256 * 1024;
/// Maximum number of events.
const MAX_EVENTS: usize = 100;

/// State of `POST /api/v2/profile/{user_id}/simulate`.
pub(crate) struct SimulateState {
    pub(crate) profiles: Profiles,
    /// The rules of validation.
    pub(crate) rules: Arc<Rules>,
    /// The clock that the times of the events are checked against.
    pub(crate) clock: Arc<dyn Clock>,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of the body.
    pub(crate) body_timeout: Duration,
}

/// Answers with the profile after the events, and with the patch to it.
pub(super) async fn post(
    context: &RequestContext,
    (payload, state): (Payload, Data<SimulateState>),
) -> Result<HttpResponse, Problem> {
    let deadline = tokio::time::Instant::now() + state.request_timeout;
    let (user, viewer) = (context.user()?, &context.caller.viewer);
    let schema = schema_version::negotiate(context.headers(), context.query())?;
    check_content_type(context.headers())?;
    let limits = BodyLimits {
        size: MAX_BODY,
        advice: "the events of a simulation have at most 256 KiB together",
        deadline,
        pause: state.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::Feed,
    };
    let body = body::read(context.headers(), payload, limits).await?;
    let events = read_events(&body, &user, &state)?;
    drop(body);
    context.count_as(events.len())?;
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let simulated = read_within(left, viewer, state.profiles.read(user, viewer, Simulate { events, schema })).await?;
    context.disclose(Disclosed::new(simulated.class.leaves(), simulated.generation));
    let mut answered = HttpResponse::Ok();
    for header in schema_version::deprecation(schema) {
        answered.insert_header(header);
    }
    Ok(answered
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(answer(&simulated)))
}

/// Checks that the body is a list of events in JSON.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers::content_type(headers)?;
    if given.is("application/cloudevents-batch+json") || given.is("application/json") {
        Ok(())
    } else {
        Err(Problem::new(
            Code::UnsupportedMediaType,
            "allowed: application/cloudevents-batch+json, or the same array as application/json",
        ))
    }
}

/// Reads the events, which pass the checks that events of feeds pass.
fn read_events(body: &[u8], user: &UserId, state: &SimulateState) -> Result<Vec<FeedEvent>, Problem> {
    // The list and the event are two levels more than its data may have.
    let list = json::parse(body, state.rules.limits.json_depth + 1)
        .map_err(|error| Problem::new(Code::MalformedBody, error.problem.to_string()))?;
    let invalid = |detail| Problem::new(Code::Invalid, detail);
    let events = list.as_array().ok_or_else(|| invalid("the body must be an array of events"))?;
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err(invalid("a simulation has 1 to 100 events"));
    }
    let now = state.clock.now_micros();
    let validated = |(index, event): (usize, &Json<'_>)| {
        validate_hypothetical(event, user, &state.rules, now)
            .map_err(|rejection| Problem::rejected(&rejection.in_list(index)))
    };
    events.iter().enumerate().map(validated).collect()
}

/// Writes the answer. The document is canonical JSON already.
fn answer(simulated: &SimulatedProfile) -> Vec<u8> {
    let SimulatedProfile { body, patch, revision, .. } = simulated;
    let mut text = format!("{{\"base_revision\":{revision},\"operations\":").into_bytes();
    text.extend_from_slice(&json_text::to_bytes(patch));
    text.extend_from_slice(b",\"profile\":");
    text.extend_from_slice(body);
    text.push(b'}');
    text
}
