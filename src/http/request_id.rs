//! The header `X-Request-Id`: the caller's value if it is usable, else a new one.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a caller's id, in bytes.
const MAX_LENGTH: usize = 128;

/// Makes the ids of one worker from the start of the server, the worker's number and a counter. They are unique while
/// the server runs, and cheaper than random ones.
pub(crate) struct RequestIds {
    prefix: String,
    next: Cell<u32>,
}

/// Returns the id of a request whose handler has no context, before it is answered; `None` outside of the server's routes.
pub(super) fn of(request: &HttpRequest) -> Option<String> {
    let ids = request.app_data::<Rc<RequestIds>>()?;
    ids.assign(request).to_str().ok().map(str::to_owned)
}

/// The id of a request that was needed before its answer.
struct AssignedId(HeaderValue);

impl RequestIds {
    /// Returns the ids of a new worker. `start` differs from one start of the server to the next.
    pub(super) fn new(start: u64) -> Self {
        static WORKERS: AtomicU32 = AtomicU32::new(0);
        let worker = WORKERS.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("{start:016x}-{worker:x}-"), next: Cell::new(0) }
    }

    /// Returns the id of a request, which stays the same however often it is asked for.
    pub(super) fn of(&self, request: &HttpRequest) -> HeaderValue {
        let assigned = request.extensions().get::<AssignedId>().map(|AssignedId(id)| id.clone());
        assigned.unwrap_or_else(|| self.for_headers(request.headers()))
    }

    /// Returns the id of a request before it is answered, and remembers it for the answer. Only some requests need that.
    pub(crate) fn assign(&self, request: &HttpRequest) -> HeaderValue {
        let id = self.of(request);
        request.extensions_mut().insert(AssignedId(id.clone()));
        id
    }

    fn for_headers(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(&X_REQUEST_ID) {
            Some(given) if is_usable(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    /// Returns a new id.
    pub(super) fn make(&self) -> HeaderValue {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let mut digits = [0; 8];
        // Fails only if the lengths differ.
        let _ = hex::encode_to_slice(number.to_be_bytes(), &mut digits);
        let mut text = Vec::with_capacity(self.prefix.len() + digits.len());
        text.extend_from_slice(self.prefix.as_bytes());
        text.extend_from_slice(&digits);
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn is_usable(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_id_is_kept_and_any_other_is_replaced() {
        let ids = RequestIds::new(0xabc);
        let of = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID.clone(), HeaderValue::from_static(given));
            ids.for_headers(&headers)
        };
        assert_eq!(of("trace-1.2:3"), "trace-1.2:3");
        let made = of("two words");
        assert!(made.to_str().is_ok_and(|id| id.starts_with("0000000000000abc-") && id.ends_with("-00000000")));
        assert_ne!(ids.for_headers(&HeaderMap::new()), made);
    }
}
