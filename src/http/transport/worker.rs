//! The state that the connections of one worker thread share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::HttpDate;
use bytes::{BufMut, Bytes, BytesMut};
use domain::port::clock::Clock;

use super::timeouts::Timeouts;
use crate::http::problem::{Code, Problem};
use crate::http::request_id::RequestIds;
use crate::json_text;
use crate::telemetry::metric;

/// One worker of a listener.
pub(super) struct Worker {
    pub(super) listen: SocketAddr,
    pub(super) timeouts: Timeouts,
    ids: RequestIds,
    clock: Arc<dyn Clock>,
}

impl Worker {
    /// Returns a worker of the listener at `listen`. `start` differs from one start of the server to the next.
    pub(super) fn new(listen: SocketAddr, timeouts: Timeouts, start: u64, clock: Arc<dyn Clock>) -> Self {
        Self { listen, timeouts, ids: RequestIds::new(start), clock }
    }

    /// Returns the answer to a request that reaches no handler, and counts the request.
    pub(super) fn refuse_request(&self, code: Code, detail: &'static str) -> Bytes {
        metric::requests("unknown", "other", Problem::new(code, detail).status().as_u16()).increment(1);
        self.refusal(code, detail)
    }

    /// Returns a complete answer for a connection or request that reaches no handler. It announces the end of the
    /// connection.
    pub(super) fn refusal(&self, code: Code, detail: &'static str) -> Bytes {
        let problem = Problem::new(code, detail);
        let id = self.ids.make();
        let id = id.to_str().unwrap_or_default();
        let body = json_text::to_bytes(&problem.body(None, Some(id)));
        let status = problem.status();
        let now = Duration::from_micros(u64::try_from(self.clock.now_micros()).unwrap_or_default());
        write_answer(status, (UNIX_EPOCH + now).into(), id, &body)
    }
}

/// Writes the bytes of an answer.
fn write_answer(status: StatusCode, date: HttpDate, id: &str, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(512 + body.len());
    let reason = status.canonical_reason().unwrap_or_default();
    out.put_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    out.put_slice(format!("content-length: {}\r\ndate: {date}\r\n", body.len()).as_bytes());
    out.put_slice(b"connection: close\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n");
    out.put_slice(b"x-content-type-options: nosniff\r\nx-request-id: ");
    out.put_slice(id.as_bytes());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        out.put_slice(b"\r\nretry-after: 1");
    }
    out.put_slice(b"\r\n\r\n");
    out.put_slice(body);
    out.freeze()
}
