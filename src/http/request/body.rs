//! Reads whole request bodies, with bounds on size, time and the memory of all bodies together.

use std::ops::Deref;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::headers;
use super::in_flight::{InFlight, Purpose, Reservation};
use crate::http::problem::{Code, Problem};

/// Number of bytes that are read and checked before other requests of the worker get their turn.
const SLICE: usize = 64 * 1024;

/// The limits of one body.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimits<'a> {
    /// Maximum size, in bytes.
    pub(crate) size: usize,
    /// The detail of the problem that answers a larger body.
    pub(crate) advice: &'static str,
    /// When the whole body must have been read.
    pub(crate) deadline: Instant,
    /// Maximum time between two pieces of the body.
    pub(crate) pause: Duration,
    /// The memory budget that the body counts against.
    pub(crate) in_flight: &'a InFlight,
    /// What the memory is used for.
    pub(crate) purpose: Purpose,
}

/// A whole request body. It counts against the memory budget until it is dropped.
pub(crate) struct RequestBody {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl Deref for RequestBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the whole body.
///
/// # Errors
/// The body breaks one of its limits, is malformed, or has a content coding.
pub(crate) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    limits: BodyLimits<'_>,
) -> Result<RequestBody, Problem> {
    read_checked(headers, payload, limits, |_| Ok(())).await
}

/// Reads the whole body. Whenever bytes are added, `check` gets everything read so far; an error of it ends the
/// reading.
///
/// # Errors
/// As [`read`], or the error of `check`.
pub(crate) async fn read_checked(
    headers: &HeaderMap,
    payload: Payload,
    limits: BodyLimits<'_>,
    check: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<RequestBody, Problem> {
    refuse_encoding(headers)?;
    let whole = collect(headers, payload, limits, check);
    tokio::time::timeout_at(limits.deadline, whole).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn collect(
    headers: &HeaderMap,
    mut payload: Payload,
    limits: BodyLimits<'_>,
    mut check: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<RequestBody, Problem> {
    let BodyLimits { size, advice, pause, in_flight, purpose, .. } = limits;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > size) {
        return Err(Problem::new(Code::TooLarge, advice));
    }
    let mut reservation = in_flight.reserve(purpose);
    reservation.grow_to(announced.unwrap_or(0))?;
    let mut body = Vec::with_capacity(announced.unwrap_or(0));
    let mut since_yield = 0;
    while let Some(piece) = next(&mut payload, pause).await? {
        if body.len() + piece.len() > size {
            return Err(Problem::new(Code::TooLarge, advice));
        }
        for slice in piece.chunks(SLICE) {
            reservation.grow_to(body.len() + slice.len())?;
            reserve_capacity(&mut body, slice.len(), size);
            body.extend_from_slice(slice);
            check(&body)?;
            since_yield += slice.len();
            if since_yield >= SLICE {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(RequestBody { bytes: body, _reservation: reservation })
}

/// Reserves room for `more` bytes. The capacity doubles, but does not exceed `size`, the size of the largest body.
fn reserve_capacity(body: &mut Vec<u8>, more: usize, size: usize) {
    let needed = body.len() + more;
    if body.capacity() < needed {
        let capacity = (2 * body.capacity()).clamp(needed, size.max(needed));
        body.reserve_exact(capacity - body.len());
    }
}

/// Refuses a body with a content coding, since none is decoded.
pub(crate) fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers::elements(headers, &header::CONTENT_ENCODING);
    let is_plain = codings.all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    if is_plain { Ok(()) } else { Err(Problem::unsupported_encoding()) }
}

/// Waits for the next piece of a body, for at most `pause`; `None` at the end of the body.
pub(crate) async fn next(payload: &mut Payload, pause: Duration) -> Result<Option<Bytes>, Problem> {
    match tokio::time::timeout(pause, payload.next()).await {
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(None) => Ok(None),
        Ok(Some(Err(_))) => {
            Err(Problem::new(Code::MalformedBody, "the body is incomplete or its framing is malformed"))
        }
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body, or its next piece, did not come in time")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use actix_web::FromRequest;
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_web::test]
    async fn a_large_piece_is_checked_in_slices_between_which_others_have_their_turn() {
        const SLICES: usize = 32;
        let text = vec![b'x'; SLICES * SLICE];
        let (request, mut payload) = TestRequest::default().set_payload(text.clone()).to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.expect("a payload");
        let turns = Rc::new(Cell::new(0));
        let others = Rc::clone(&turns);
        let other = actix_web::rt::spawn(async move {
            loop {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let in_flight = InFlight::new(16 * text.len());
        let soon = Duration::from_secs(60);
        let limits = BodyLimits {
            size: 2 * text.len(),
            advice: "",
            deadline: Instant::now() + soon,
            pause: soon,
            in_flight: &in_flight,
            purpose: Purpose::Feed,
        };
        let (headers, mut checked, mut seen) = (HeaderMap::new(), 0, Vec::new());
        let body = read_checked(&headers, payload, limits, |text| {
            assert!(text.len() - checked <= SLICE, "a slice at a time");
            checked = text.len();
            seen.push(turns.get());
            Ok(())
        });
        let body = body.await.expect("a body");
        other.abort();
        assert_eq!(*body, text);
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        assert_eq!(body._reservation.bytes(), text.len());
    }

    #[test]
    fn room_for_a_body_doubles_up_to_the_largest_body() {
        const MIB: usize = 1 << 20;
        let (mut body, size) = (Vec::new(), 64 * MIB);
        let mut capacities = Vec::new();
        while body.len() < 3 * MIB {
            reserve_capacity(&mut body, SLICE, size);
            body.extend_from_slice(&[b'x'; SLICE]);
            assert!(body.capacity() <= 2 * body.len());
            if capacities.last() != Some(&body.capacity()) {
                capacities.push(body.capacity());
            }
        }
        assert_eq!(capacities, [SLICE, 2 * SLICE, 4 * SLICE, 8 * SLICE, MIB, 2 * MIB, 4 * MIB]);
        body.resize(4 * MIB, b'x');
        reserve_capacity(&mut body, SLICE, 5 * MIB);
        assert_eq!(body.capacity(), 5 * MIB);
    }

    #[test]
    fn only_bodies_without_a_coding_are_taken() {
        for (codings, taken) in [
            (&[][..], true),
            (&[""], true),
            (&["identity"], true),
            (&["Identity, ,identity"], true),
            (&["gzip"], false),
            (&["identity", "br"], false),
            (&["identity,gzip"], false),
            (&["aws-chunked"], false),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            assert_eq!(refuse_encoding(&headers).is_ok(), taken, "{codings:?}");
        }
    }
}
