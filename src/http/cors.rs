//! Cross-origin requests (the Fetch standard's CORS protocol), from the origins that are configured.

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderValue};

/// What a page may send beside what it always may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, baggage, content-type, if-match, if-none-match, last-event-id, prefer, traceparent, tracestate, \
     x-access-reason, x-csrf-token, x-purpose, x-request-id",
);
/// What a page may read beside what it always may.
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("allow, etag, retry-after, www-authenticate, x-cache, x-profile-revision, x-request-id");
/// How long a page may remember the answer to its preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that pages may call from.
pub(super) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    /// Lets a page of a configured origin read the answer. No credentials but the `Authorization` header are used, so
    /// none are allowed.
    pub(super) fn allow(&self, answer: &mut ServiceResponse) {
        if self.origins.is_empty() {
            return;
        }
        // Whether or not the origin is one of ours, the answer depends on it.
        answer.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        let given = answer.request().headers().get(header::ORIGIN);
        let Some(origin) = given.filter(|origin| self.origins.iter().any(|known| *origin == known)).cloned() else {
            return;
        };
        let is_preflight = answer.request().headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Some(methods) = headers.get(header::ALLOW).filter(|_| is_preflight).cloned() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}
