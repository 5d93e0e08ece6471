//! What all streams of Server-Sent Events share (WHATWG HTML, section 9.2).

use actix_web::http::header::{HeaderMap, HeaderName};

use super::headers;
use crate::http::problem::{Code, Problem};

/// The media type of Server-Sent Events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The response header that asks reverse proxies such as nginx to pass each event on at once.
pub(crate) static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The request header with the id of the last event that a client received before it connected again.
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Maximum length of a cursor, in bytes.
const MAX_CURSOR: usize = 1_024;

/// Returns the cursor in `Last-Event-ID`; `None` if it is absent or empty.
///
/// # Errors
/// The header is repeated, longer than any cursor, or not text.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let given = headers::single(headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty());
    let text = given.map(|id| id.to_str().ok().filter(|id| id.len() <= MAX_CURSOR).ok_or_else(malformed_cursor));
    Ok(text.transpose()?.map(str::to_owned))
}

/// Returns the problem for a cursor that this server cannot have issued.
pub(crate) fn malformed_cursor() -> Problem {
    Problem::new(Code::InvalidParameter, "`cursor` must be `oldest` or a cursor from an event")
}
