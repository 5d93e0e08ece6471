//! The answer to a batch: the number of events with each status, and the results that are reported.
//!
//! Each result is written as soon as its event has it, so that no single step writes the whole answer. The answer is
//! bounded by `http.max_answer_bytes` and counts against the memory budget until the connection has it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::result::{FeedResult, Tally};
use crate::http::request::in_flight::Reservation;
use crate::json_text;

/// Approximate number of bytes that the connection gets at once.
const PIECE_BYTES: usize = 32 * 1024;
/// Approximate memory of a result besides its text, in bytes.
const OVERHEAD: usize = 64;

/// The results of a batch as JSON, in the order of the batch.
pub(super) struct BatchResults {
    lines: BTreeMap<u64, Box<[u8]>>,
    limit: usize,
    /// Number of bytes of all results.
    bytes: usize,
    /// Number of bytes of the results of rejected events.
    rejected_bytes: usize,
    /// Whether a result did not fit. All later ones are omitted.
    is_full: bool,
    /// Whether the result of a rejected event did not fit. All later ones of rejected events are omitted.
    is_full_of_rejected: bool,
    /// Number of omitted results.
    omitted: u64,
    /// Grows as results are added.
    reservation: Reservation,
}

impl BatchResults {
    /// Returns room for results of at most `limit` bytes. Results of rejected events take at most half of it, so that
    /// they do not crowd out results that tell the client which events to send again.
    pub(super) fn new(limit: usize, reservation: Reservation) -> Self {
        Self {
            lines: BTreeMap::new(),
            limit,
            bytes: 0,
            rejected_bytes: 0,
            is_full: false,
            is_full_of_rejected: false,
            omitted: 0,
            reservation,
        }
    }

    /// Adds a result. If it does not fit, it is only counted as omitted.
    pub(super) fn add(&mut self, result: &FeedResult) {
        let is_rejected = result.status.is_rejected();
        if self.is_full || (is_rejected && self.is_full_of_rejected) {
            self.omitted += 1;
            return;
        }
        let line = json_text::to_bytes(&result.line());
        let rejected_bytes = self.rejected_bytes + if is_rejected { line.len() + 1 } else { 0 };
        let bytes = self.bytes + line.len() + 1;
        if rejected_bytes > self.limit / 2 {
            self.is_full_of_rejected = true;
            self.omitted += 1;
            return;
        }
        let held = bytes + (self.lines.len() + 1) * OVERHEAD;
        if bytes > self.limit || self.reservation.grow_to(held).is_err() {
            self.is_full = true;
            self.omitted += 1;
            return;
        }
        (self.bytes, self.rejected_bytes) = (bytes, rejected_bytes);
        self.lines.insert(result.index, line.into_boxed_slice());
    }

    /// Returns the body of the answer.
    pub(super) fn into_answer(self, tally: Tally) -> BatchAnswer {
        let head = format!("{{{},\"results\":[", json_text::members(&tally));
        let tail = match self.omitted {
            0 => "]}".to_owned(),
            omitted => format!("],\"results_omitted\":{omitted}}}"),
        };
        // Each result but the first has a comma before it, and `bytes` counts one for each.
        let size = head.len() + self.bytes.saturating_sub(1) + tail.len();
        let Self { lines, reservation, .. } = self;
        BatchAnswer { size: size as u64, head: Some(head), lines, is_first: true, tail: Some(tail), reservation }
    }
}

/// The body of the answer. The memory of the pieces that the connection has is released.
pub(super) struct BatchAnswer {
    size: u64,
    head: Option<String>,
    lines: BTreeMap<u64, Box<[u8]>>,
    is_first: bool,
    tail: Option<String>,
    reservation: Reservation,
}

impl BatchAnswer {
    /// Returns the next piece of the body; `None` at its end.
    fn next_piece(&mut self) -> Option<Bytes> {
        let mut piece = self.head.take().unwrap_or_default().into_bytes();
        let mut released = 0;
        while piece.len() < PIECE_BYTES {
            let Some((_, line)) = self.lines.pop_first() else {
                piece.extend_from_slice(self.tail.take().unwrap_or_default().as_bytes());
                break;
            };
            if !std::mem::take(&mut self.is_first) {
                piece.push(b',');
            }
            piece.extend_from_slice(&line);
            released += line.len() + 1 + OVERHEAD;
        }
        self.reservation.shrink_to(self.reservation.bytes().saturating_sub(released));
        (!piece.is_empty()).then(|| piece.into())
    }
}

impl MessageBody for BatchAnswer {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.next_piece().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::feed::result::FeedStatus;
    use crate::http::problem::{Code, Problem};
    use crate::http::request::in_flight::{InFlight, Purpose};

    const MIB: usize = 1 << 20;

    fn results(limit: usize, budget: &InFlight) -> BatchResults {
        BatchResults::new(limit, budget.reserve(Purpose::Feed))
    }

    fn result(index: u64, status: FeedStatus) -> FeedResult {
        FeedResult { index, id: Some(format!("event-{index}")), status }
    }

    fn rejected(index: u64) -> FeedResult {
        result(index, FeedStatus::Rejected(Problem::new(Code::Invalid, "x".repeat(1_000))))
    }

    fn read(mut answer: BatchAnswer) -> Value {
        let mut text = Vec::new();
        while let Some(piece) = answer.next_piece() {
            assert!(piece.len() < PIECE_BYTES + 2_000, "a piece is bounded");
            text.extend_from_slice(&piece);
        }
        assert_eq!(answer.size, text.len() as u64, "the announced length is the true one");
        assert_eq!(answer.reservation.bytes(), 0, "what was sent is released");
        serde_json::from_slice(&text).expect("JSON")
    }

    #[test]
    fn results_are_written_in_the_order_of_the_batch() {
        let budget = InFlight::new(64 * MIB);
        for count in [0, 1, 2, 1_000_u64] {
            let mut results = results(MIB, &budget);
            (0..count).rev().for_each(|index| results.add(&result(index, FeedStatus::Applied(index + 1))));
            let answer = read(results.into_answer(Tally { applied: count, ..Tally::default() }));
            assert_eq!((&answer["applied"], answer.get("results_omitted")), (&json!(count), None));
            let found: Vec<_> = answer["results"].as_array().expect("results").iter().collect();
            let expected: Vec<_> = (0..count)
                .map(|index| json!({"index": index, "id": format!("event-{index}"), "status": "applied", "revision": index + 1}))
                .collect();
            assert_eq!(found, expected.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn rejected_events_have_half_of_the_answer_and_the_rest_is_counted() {
        let budget = InFlight::new(64 * MIB);
        let mut results = results(MIB, &budget);
        (0..2_000).for_each(|index| results.add(&rejected(index)));
        results.add(&result(2_000, FeedStatus::Busy));
        assert!(results.rejected_bytes <= MIB / 2 && results.reservation.bytes() < MIB);
        let answer = read(results.into_answer(Tally { rejected: 2_000, busy: 1, ..Tally::default() }));
        let listed = answer["results"].as_array().expect("results");
        assert_eq!(listed.len() as u64 + answer["results_omitted"].as_u64().expect("a count"), 2_001);
        assert!(listed.len() > 400 && listed.len() < 1_000, "{}", listed.len());
        assert_eq!(listed.last().expect("one")["status"], "busy", "one that must be sent again is there");
    }

    #[test]
    fn an_answer_beyond_the_budget_is_cut_and_not_refused() {
        let budget = InFlight::new(2 * MIB);
        let mut results = results(16 * MIB, &budget);
        (0..100_000).for_each(|index| results.add(&result(index, FeedStatus::Applied(1))));
        assert!(results.omitted > 0 && results.reservation.bytes() <= 2 * MIB);
        let omitted = results.omitted;
        assert_eq!(read(results.into_answer(Tally::default()))["results_omitted"], omitted);
    }
}
