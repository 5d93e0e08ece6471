//! Cross-origin requests from configured origins (the CORS protocol of the Fetch standard).
//!
//! The crate `actix-cors` is not used: it boxes the future of every response, also where no origin is configured, and
//! it answers preflight requests from a list of methods of its own instead of the route table.

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderValue};

/// The request headers that a page may send, besides those that are always allowed.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, baggage, content-type, if-match, if-none-match, last-event-id, prefer, traceparent, tracestate, \
     x-access-reason, x-csrf-token, x-purpose, x-request-id",
);
/// The response headers that a page may read, besides those that are always readable.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "allow, deprecation, etag, ratelimit, ratelimit-policy, retry-after, sunset, www-authenticate, x-cache, \
     x-profile-revision, x-request-id",
);
/// How long a browser may cache the answer to a preflight request, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins that pages may call from.
pub(super) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// Returns the permission of pages with one of these origins.
    pub(super) fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    /// Adds the headers that let a page of a configured origin read the answer. Credentials such as cookies are not
    /// allowed: the cookie of a session is for pages of the server's own site.
    pub(super) fn allow(&self, answer: &mut ServiceResponse) {
        if self.origins.is_empty() {
            return;
        }
        // The answer depends on the origin, even if the origin is not configured.
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
