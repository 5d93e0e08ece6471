//! `GET /api/v2/events`: services follow the changes of all users that they may see.
//!
//! The journal is the log of these events (ADR 0006). `actors::follower` reads and masks it, and this handler sends the
//! result as a stream.

mod format;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actors::Profiles;
use actors::follower::{Follow, FollowError, StartFrom};
use domain::publication::{PublishedEventTypes, UnknownEventType};
use tokio::sync::watch;

use super::audit::Disclosed;
use super::problem::{Code, Problem};
use super::request::caller::Verifier;
use super::request::context::RequestContext;
use super::request::expiry::Expiry;
use super::request::{event_stream, query};
use super::transport;
use crate::http::request::parameter::{EVENTS_CURSOR, TYPES};
use format::StreamFormat;
use stream::EventStream;

/// State of `GET /api/v2/events`.
pub(crate) struct EventsState {
    pub(crate) profiles: Profiles,
    pub(crate) verifier: Arc<Verifier>,
    /// Maximum time between two pieces of a stream.
    pub(crate) heartbeat: Duration,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Answers with a stream of the events of all users, masked for the caller.
pub(super) async fn get(context: &RequestContext, state: Data<EventsState>) -> Result<HttpResponse, Problem> {
    let (caller, headers) = (&context.caller, context.headers());
    let format = StreamFormat::negotiate(headers)?;
    let types = types(context.query())?;
    let from = from(context.query(), headers)?;
    let connection = context.connection();
    let admitted = connection.admit(caller, None, Ok(Disclosed::NOTHING)).await?;
    let follow = Follow { caller: caller.subject().to_string(), viewer: caller.viewer.clone(), types, from };
    let followed = state.profiles.follow(follow).await.map_err(Problem::from);
    connection.settle(caller, admitted, followed.as_ref().map(|_| ())).await;
    let follower = followed?;
    let expiry = Expiry::new(&state.verifier, caller, state.closing.clone());
    transport::begin_event_stream(&context.request);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.insert_header((event_stream::X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")));
    Ok(answer.streaming(EventStream::new(follower, format, state.heartbeat, expiry).into_stream()))
}

/// Returns the types of events in the parameter `types`; all without it.
fn types(query: &str) -> Result<PublishedEventTypes, Problem> {
    let list = query::list(query, &TYPES);
    list.map_or(Ok(PublishedEventTypes::ALL), |list| PublishedEventTypes::parse(&list)).map_err(|UnknownEventType| {
        Problem::new(
            Code::InvalidParameter,
            "`types` must be a comma-separated list of profile.assembled, profile.delta.generated, \
             profile.completeness.changed, profile.snapshot.created and profile.erased",
        )
    })
}

/// Returns where the stream starts. A client of Server-Sent Events connects again with the same address and the id of
/// the last event, so `Last-Event-ID` takes precedence over `cursor`.
fn from(query: &str, headers: &HeaderMap) -> Result<StartFrom, Problem> {
    let cursor = query::single(query, &EVENTS_CURSOR)?;
    if let Some(last) = event_stream::last_event_id(headers)? {
        return Ok(StartFrom::Cursor(last));
    }
    Ok(match cursor.as_deref() {
        None => StartFrom::Now,
        Some("oldest") => StartFrom::Oldest,
        Some(cursor) => StartFrom::Cursor(cursor.to_owned()),
    })
}

impl From<FollowError> for Problem {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Malformed => event_stream::malformed_cursor(),
            FollowError::Gone { why, oldest } => Self::cursor_gone(why, oldest),
            FollowError::TooMany => {
                Self::new(Code::TooManyFollowers, "`events.max_followers_per_caller` streams are open: close one first")
            }
            FollowError::Full => Self::new(Code::Busy, "`events.max_followers` streams are open: try again later"),
            FollowError::Store(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "the journal could not be followed");
                Self::new(Code::Unavailable, "the events cannot be read now")
            }
        }
    }
}
