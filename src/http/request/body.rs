//! Reading a body that is not streamed: bounded in size, within the budget of all bodies, and not slower than allowed.

use std::ops::Deref;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, Payload};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::headers;
use super::in_flight::{InFlight, Purpose, Reservation};
use crate::http::problem::{Code, Problem};

/// How many bytes are taken and checked before the worker's other requests have their turn.
const SLICE: usize = 64 * 1024;
/// How much a body may be, and until when.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimits<'a> {
    /// Bytes.
    pub(crate) size: usize,
    /// What to do where there are more.
    pub(crate) advice: &'static str,
    /// The request's own.
    pub(crate) deadline: Instant,
    /// The longest pause between two pieces.
    pub(crate) pause: Duration,
    /// The budget that the body counts in.
    pub(crate) in_flight: &'a InFlight,
    /// What the body is for.
    pub(crate) purpose: Purpose,
}

/// A whole body. It counts in the budget until it is dropped.
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
pub(crate) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    bounds: BodyLimits<'_>,
) -> Result<RequestBody, Problem> {
    read_checked(headers, payload, bounds, |_| Ok(())).await
}

/// Reads the whole body. `check` is given all that has come whenever something was added, and ends the reading by an
/// error.
pub(crate) async fn read_checked(
    headers: &HeaderMap,
    payload: Payload,
    bounds: BodyLimits<'_>,
    check: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<RequestBody, Problem> {
    refuse_encoding(headers)?;
    let whole = collect(headers, payload, bounds, check);
    tokio::time::timeout_at(bounds.deadline, whole).await.unwrap_or_else(|_| Err(too_slow()))
}

async fn collect(
    headers: &HeaderMap,
    mut payload: Payload,
    bounds: BodyLimits<'_>,
    mut check: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<RequestBody, Problem> {
    let BodyLimits { size, advice, pause, in_flight, purpose, .. } = bounds;
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

/// Makes room for `more` bytes, which do not make the body larger than `size`: twice as much as there was, and never more
/// than the largest body takes.
fn reserve_capacity(body: &mut Vec<u8>, more: usize, size: usize) {
    let needed = body.len() + more;
    if body.capacity() < needed {
        let capacity = (2 * body.capacity()).clamp(needed, size.max(needed));
        body.reserve_exact(capacity - body.len());
    }
}

/// Refuses a body with a content coding: it would be taken for what it is not.
pub(crate) fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers::elements(headers, &header::CONTENT_ENCODING);
    match codings.all(|coding| coding.eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => Err(Problem::unsupported_encoding()),
    }
}

/// The next piece of a body, which comes at most `pause` after the one before; `None` at its end.
pub(crate) async fn next(payload: &mut Payload, pause: Duration) -> Result<Option<Bytes>, Problem> {
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
        let bounds = BodyLimits {
            size: 2 * text.len(),
            advice: "",
            deadline: Instant::now() + soon,
            pause: soon,
            in_flight: &in_flight,
            purpose: Purpose::Feed,
        };
        let (headers, mut checked, mut seen) = (HeaderMap::new(), 0, Vec::new());
        let body = read_checked(&headers, payload, bounds, |text| {
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
