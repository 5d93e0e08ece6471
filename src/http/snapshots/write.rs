//! Taking and removing snapshots.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Payload};
use domain::port::audit::AuditValue;
use domain::snapshot::SnapshotTrigger;
use serde::Deserialize;

use super::render;
use super::state::{SnapshotState, snapshot_id};
use crate::http::problem::{Code, Problem};
use crate::http::request::body::{self, BodyLimits};
use crate::http::request::context::RequestContext;
use crate::http::request::headers;
use crate::http::request::in_flight::Purpose;
use crate::json_object::JsonObject;

/// Maximum size of the body, in bytes.
pub(in crate::http) const MAX_BODY: usize = 1024;
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The body, which may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    trigger: Option<String>,
}

/// Takes a snapshot of the newest revision, and answers with it.
pub(in crate::http) async fn take(
    context: &RequestContext,
    (payload, state): (Payload, Data<SnapshotState>),
) -> Result<HttpResponse, Problem> {
    let trigger = read_trigger(context, payload, &state).await?;
    context.note("trigger", AuditValue::Text(Cow::Borrowed(trigger.name())));
    context.record_write().await?;
    let (user, caller) = (context.user()?, &context.caller);
    let taking = state.profiles.take_snapshot(user, &caller.viewer, trigger, caller.sees_serving());
    let taken =
        state.within(&caller.viewer, taking).await.inspect_err(|problem| leave_open(context, problem))?.snapshot;
    let address = format!("/api/v2/profile/{}/snapshots/{}", user.as_str(), taken.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, address))
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        .json(render::snapshot(&taken)))
}

/// Removes a snapshot.
pub(in crate::http) async fn remove(
    context: &RequestContext,
    state: Data<SnapshotState>,
) -> Result<HttpResponse, Problem> {
    let (id, viewer) = (snapshot_id(context)?, &context.caller.viewer);
    context.note("snapshot_id", AuditValue::Text(Cow::Owned(id.to_string())));
    context.record_write().await?;
    let removing = state.within(viewer, state.profiles.remove_snapshot(context.user()?, viewer, id)).await;
    removing.inspect_err(|problem| leave_open(context, problem))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Notes that a write which was not acknowledged may still take effect.
fn leave_open(context: &RequestContext, problem: &Problem) {
    if problem.is(Code::Busy) || problem.is(Code::Timeout) {
        context.leave_outcome_open();
    }
}

async fn read_trigger(
    context: &RequestContext,
    payload: Payload,
    state: &SnapshotState,
) -> Result<SnapshotTrigger, Problem> {
    let limits = BodyLimits {
        size: MAX_BODY,
        advice: "a request for a snapshot has at most 1 KiB",
        deadline: tokio::time::Instant::now() + state.request_timeout,
        pause: state.body_timeout,
        in_flight: &state.in_flight,
        purpose: Purpose::CitizenWrite,
    };
    let body = body::read(context.headers(), payload, limits).await?;
    if body.is_empty() {
        return Ok(SnapshotTrigger::Manual);
    }
    if !headers::content_type(context.headers())?.is("application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json"));
    }
    parse_trigger(&body)
}

/// Returns why a snapshot is taken.
///
/// # Errors
/// The body is no JSON object with at most the member `trigger`, or its value is not one that callers may give.
fn parse_trigger(body: &[u8]) -> Result<SnapshotTrigger, Problem> {
    let malformed = |_| Problem::new(Code::MalformedBody, "the body is an object with at most the member `trigger`");
    let JsonObject(Body { trigger }) = serde_json::from_slice(body).map_err(malformed)?;
    let Some(name) = trigger else { return Ok(SnapshotTrigger::Manual) };
    let trigger = SnapshotTrigger::parse(&name).filter(|trigger| *trigger != SnapshotTrigger::Daily);
    trigger.ok_or_else(|| {
        let detail = "`trigger` must be `manual` or `assemble`";
        Problem::new(Code::Invalid, detail).at("/trigger", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_may_name_the_triggers_that_are_theirs() {
        for (body, expected) in [
            ("{}", SnapshotTrigger::Manual),
            (r#"{"trigger":null}"#, SnapshotTrigger::Manual),
            (r#"{"trigger":"manual"}"#, SnapshotTrigger::Manual),
            (r#"{"trigger":"assemble"}"#, SnapshotTrigger::Assemble),
        ] {
            assert_eq!(parse_trigger(body.as_bytes()).ok(), Some(expected), "{body}");
        }
        let code = |body: &str| parse_trigger(body.as_bytes()).map_err(|problem| problem.name().to_owned());
        for body in [r#"{"trigger":"daily"}"#, r#"{"trigger":"x"}"#] {
            assert_eq!(code(body), Err("invalid".to_owned()), "{body}");
        }
        for body in ["[]", "{", r#"{"trigger":1}"#, r#"{"other":1}"#] {
            assert_eq!(code(body), Err("malformed-body".to_owned()), "{body}");
        }
    }
}
