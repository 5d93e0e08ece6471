//! `X-Request-Id`: the caller's, when it is a sensible one, else made here.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

/// Makes the ids of one worker: the server's own start, the worker, a count. Unique while it runs, and cheap.
pub(super) struct RequestIds {
    prefix: String,
    next: Cell<u32>,
}

impl RequestIds {
    /// `start` differs from one start of the server to the next.
    pub(super) fn new(start: u64) -> Self {
        static WORKERS: AtomicU32 = AtomicU32::new(0);
        let worker = WORKERS.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("{start:016x}-{worker:x}-"), next: Cell::new(0) }
    }

    /// The id of a request with these headers.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(&X_REQUEST_ID) {
            Some(given) if is_sensible(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    /// A new id.
    pub(super) fn make(&self) -> HeaderValue {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let digits: [u8; 8] = std::array::from_fn(|index| HEX[(number >> ((7 - index) * 4)) as usize & 15]);
        let mut text = Vec::with_capacity(self.prefix.len() + digits.len());
        text.extend_from_slice(self.prefix.as_bytes());
        text.extend_from_slice(&digits);
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("-"))
    }
}

fn is_sensible(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensible_id_is_kept_and_any_other_replaced() {
        let ids = RequestIds::new(0xabc);
        let of = |given: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID.clone(), HeaderValue::from_static(given));
            ids.of(&headers)
        };
        assert_eq!(of("trace-1.2:3"), "trace-1.2:3");
        let made = of("two words");
        assert!(made.to_str().is_ok_and(|id| id.starts_with("0000000000000abc-") && id.ends_with("-00000000")));
        assert_ne!(ids.of(&HeaderMap::new()), made);
    }
}
