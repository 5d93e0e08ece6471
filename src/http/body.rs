//! Reading a body that is not streamed: bounded in size, and not slower than allowed.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::problem::{Code, Problem};

/// How much a body may be, and until when.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes.
    pub(super) size: usize,
    /// What to do where there are more.
    pub(super) advice: &'static str,
    /// The request's own.
    pub(super) deadline: Instant,
    /// The longest pause between two pieces.
    pub(super) pause: Duration,
}

/// The whole body.
pub(super) async fn read(headers: &HeaderMap, payload: Payload, bounds: Bounds) -> Result<Bytes, Problem> {
    let whole = collect(headers, payload, bounds);
    tokio::time::timeout_at(bounds.deadline, whole).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn collect(headers: &HeaderMap, mut payload: Payload, bounds: Bounds) -> Result<Bytes, Problem> {
    let Bounds { size, advice, pause, .. } = bounds;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > size) {
        return Err(Problem::new(Code::TooLarge, advice));
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    while let Some(piece) = next(&mut payload, pause).await? {
        if body.len() + piece.len() > size {
            return Err(Problem::new(Code::TooLarge, advice));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// The next piece of a body, which comes at most `pause` after the one before; `None` at its end.
pub(super) async fn next(payload: &mut Payload, pause: Duration) -> Result<Option<Bytes>, Problem> {
    match tokio::time::timeout(pause, payload.next()).await {
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(None) => Ok(None),
        Ok(Some(Err(_))) => Err(Problem::new(Code::MalformedBody, "the body broke off or is not framed as announced")),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body, or its next piece, did not come in time")
}
