//! Reading a body that is not streamed: bounded in size, and not slower than allowed.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

use super::problem::{Code, Problem};

/// The whole body, of at most `limit` bytes.
pub(super) async fn read(
    settings: &config::Http,
    headers: &HeaderMap,
    payload: Payload,
    limit: usize,
) -> Result<Bytes, Problem> {
    let whole = collect(headers, payload, limit, settings.client_body_timeout);
    tokio::time::timeout(settings.request_timeout, whole).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn collect(headers: &HeaderMap, mut payload: Payload, limit: usize, pause: Duration) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    while let Some(piece) = next(&mut payload, pause).await? {
        if body.len() + piece.len() > limit {
            return Err(too_large());
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

fn too_large() -> Problem {
    Problem::new(Code::TooLarge, "the body has more bytes than are taken; send events as NDJSON to stream them")
}
