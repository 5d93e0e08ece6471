//! `GET /api/v2/events`: engines follow all users, as far as they may see them.
//!
//! The journal is the log (ADR 0006); `actors::follower` reads it and masks, and this streams what it gives.

mod format;
mod stream;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use actors::follower::{Follow, FollowError, From};
use domain::publication::{PublishedEventTypes, UnknownEventType};

use super::access_reason::AccessReason;
use super::caller::{self, Caller, Role};
use super::door::Door;
use super::headers;
use super::problem::{Code, Problem};
use super::{query, transport};
use format::Format;
use stream::EventStream;

/// Where a client of Server-Sent Events stands that connects again.
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Asks reverse proxies such as nginx to hand on what comes when it comes.
pub(crate) static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Bytes of the longest cursor that is looked at.
const MAX_CURSOR: usize = 1_024;

pub(super) async fn get(request: HttpRequest, door: Data<Door>) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    let caller = caller::authenticate(&door.verifier, headers)?;
    check_scope(&caller)?;
    let reason = AccessReason::of(&caller, headers)?;
    let format = Format::negotiate(headers)?;
    let types = types(request.query_string())?;
    let from = from(request.query_string(), headers)?;
    reason.record_of_all(&caller, "follow events");
    let follow = Follow { caller: caller.subject.clone(), viewer: caller.viewer.clone(), types, from };
    let follower = door.profiles.follow(follow).await?;
    transport::begin_event_stream(&request);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(format.media_type())));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.insert_header((X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")));
    Ok(answer.streaming(EventStream::new(&door, &caller, follower, format).into_stream()))
}

fn check_scope(caller: &Caller) -> Result<(), Problem> {
    match caller.role {
        Role::Service | Role::Admin if caller.events_read => Ok(()),
        Role::Service | Role::Admin => {
            Err(Problem::new(Code::MissingScope, "the scope `events:read` is needed to follow all users"))
        }
        _ => Err(Problem::new(Code::Forbidden, "only services and administrators follow all users")),
    }
}

fn types(query: &str) -> Result<PublishedEventTypes, Problem> {
    let list = query::list(query, "types");
    list.map_or(Ok(PublishedEventTypes::ALL), |list| PublishedEventTypes::parse(&list)).map_err(|UnknownEventType| {
        Problem::new(
            Code::InvalidParameter,
            "`types` must be a comma-separated list of profile.assembled, profile.delta.generated, \
             profile.completeness.changed, profile.snapshot.created and profile.erased",
        )
    })
}

/// A client of Server-Sent Events connects again with the address it had and the newest id, so the id counts.
fn from(query: &str, headers: &HeaderMap) -> Result<From, Problem> {
    let cursor = query::single(query, "cursor")?;
    if let Some(last) = last_event_id(headers)? {
        return Ok(From::Cursor(last));
    }
    Ok(match cursor.as_deref() {
        None => From::Now,
        Some("oldest") => From::Oldest,
        Some(cursor) => From::Cursor(cursor.to_owned()),
    })
}

/// The cursor in `Last-Event-ID`; an empty one is none.
///
/// # Errors
/// It is repeated, longer than any cursor, or not text.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let given = headers::single(headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty());
    let text = given.map(|id| id.to_str().ok().filter(|id| id.len() <= MAX_CURSOR).ok_or_else(malformed));
    Ok(text.transpose()?.map(str::to_owned))
}

fn malformed() -> Problem {
    Problem::new(Code::InvalidParameter, "`cursor` must be `oldest`, or a cursor that came with an event")
}

impl std::convert::From<FollowError> for Problem {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Malformed => malformed(),
            FollowError::Gone { why, oldest } => Self::cursor_gone(why, oldest),
            FollowError::TooMany => {
                Self::new(Code::TooManyFollowers, "close a stream first: `events.max_followers_per_caller` are open")
            }
            FollowError::Full => Self::new(Code::Busy, "too many callers follow: try again later"),
            FollowError::Store(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "the journal could not be followed");
                Self::new(Code::Unavailable, "the events cannot be read now")
            }
        }
    }
}
