//! What the connections of one worker thread share.

use std::net::SocketAddr;

use actix_web::http::StatusCode;
use bytes::{BufMut, Bytes, BytesMut};

use super::Timeouts;
use crate::http::problem::{Code, Problem};
use crate::http::request_id::RequestIds;
use crate::telemetry::metric;

/// One worker of a listener.
pub(super) struct Worker {
    pub(super) listen: SocketAddr,
    pub(super) timeouts: Timeouts,
    ids: RequestIds,
}

impl Worker {
    /// `start` differs from one start of the server to the next.
    pub(super) fn new(listen: SocketAddr, timeouts: Timeouts, start: u64) -> Self {
        Self { listen, timeouts, ids: RequestIds::new(start) }
    }

    /// A complete answer for a request that never reached a handler. It ends the connection, and is counted.
    pub(super) fn refusal(&self, code: Code, detail: &'static str) -> Bytes {
        let problem = Problem::new(code, detail);
        let id = self.ids.make();
        let id = id.to_str().unwrap_or_default();
        let body = serde_json::to_vec(&problem.body(None, Some(id))).unwrap_or_default();
        let status = problem.status();
        metric::requests("unknown", "other", status.as_u16()).increment(1);
        write_answer(status, id, &body)
    }
}

fn write_answer(status: StatusCode, id: &str, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(512 + body.len());
    let reason = status.canonical_reason().unwrap_or_default();
    out.put_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    out.put_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
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
