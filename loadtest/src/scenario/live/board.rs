//! Which events wait for their frames.

use crate::drive::Script;
use crate::http::Reply;
use crate::latency::Latency;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

/// The events in the order in which they are due, user after user; and by user those without a frame yet.
pub(super) struct Board {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    waiting: RefCell<Vec<VecDeque<Waiting>>>,
    seen: RefCell<Seen>,
}

/// An event on its way.
struct Waiting {
    number: usize,
    due: Instant,
}

/// What the sockets have seen.
pub(super) struct Seen {
    /// From when an event was due to when its frame was read.
    pub(super) latency: Latency,
    /// Events that were acknowledged without a new revision.
    pub(super) without_change: u64,
    patches: u64,
    patch_bytes: u64,
    patch_frame_bytes: u64,
}

impl Seen {
    /// Bytes of `operations` in a patch.
    pub(super) fn mean_patch(&self) -> f64 {
        self.patch_bytes as f64 / self.patches.max(1) as f64
    }

    /// Bytes of the whole text of a patch.
    pub(super) fn mean_frame(&self) -> f64 {
        self.patch_frame_bytes as f64 / self.patches.max(1) as f64
    }
}

/// A frame of the server.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    base_revision: Option<u64>,
    revision: Option<u64>,
    #[serde(borrow)]
    operations: Option<&'a RawValue>,
}

impl Board {
    pub(super) fn new(requests: Vec<Vec<u8>>, users: usize) -> Self {
        let seen =
            Seen { latency: Latency::new(), without_change: 0, patches: 0, patch_bytes: 0, patch_frame_bytes: 0 };
        let waiting = (0..users).map(|_| VecDeque::new()).collect();
        Self { requests, next: Cell::new(0), waiting: RefCell::new(waiting), seen: RefCell::new(seen) }
    }

    /// Notes a frame that a user's socket read just now. Gives false for one that makes no sense.
    pub(super) fn frame(&self, user: usize, text: &str) -> bool {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { return false };
        let mut seen = self.seen.borrow_mut();
        let revisions = match frame.kind {
            "patch" => {
                seen.patches += 1;
                seen.patch_bytes += frame.operations.map_or(0, |operations| operations.get().len() as u64);
                seen.patch_frame_bytes += text.len() as u64;
                frame.revision.unwrap_or_default().saturating_sub(frame.base_revision.unwrap_or_default())
            }
            // A change of consent, which is one revision.
            "profile" => 1,
            "completeness" | "pong" => 0,
            _ => return false,
        };
        let mut waiting = self.waiting.borrow_mut();
        for _ in 0..revisions {
            let Some(event) = waiting[user].pop_front() else { break };
            seen.latency.record(event.due.elapsed());
        }
        true
    }

    /// How many events still wait for a frame.
    pub(super) fn missing(&self) -> usize {
        self.waiting.borrow().iter().map(VecDeque::len).sum()
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Ref<'_, Seen> {
        self.seen.borrow()
    }
}

impl Script for Board {
    fn next(&self, due: Instant) -> Option<(usize, &[u8])> {
        let number = self.next.get();
        let request = self.requests.get(number)?;
        self.next.set(number + 1);
        let mut waiting = self.waiting.borrow_mut();
        let user = number % waiting.len();
        waiting[user].push_back(Waiting { number, due });
        Some((number, request))
    }

    /// An event that made no revision gets no frame.
    fn answered(&self, number: usize, reply: &Reply<'_>) {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            applied: u64,
        }
        let applied =
            reply.status == 200 && serde_json::from_slice::<Answer>(reply.body).is_ok_and(|it| it.applied > 0);
        if !applied {
            let mut waiting = self.waiting.borrow_mut();
            let user = number % waiting.len();
            waiting[user].retain(|event| event.number != number);
            self.seen.borrow_mut().without_change += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = r#"{"type":"patch","user_id":"u","base_revision":7,"revision":8,"operations":[{"op":"x"}]}"#;

    fn answer(body: &str) -> Reply<'_> {
        Reply { status: 200, head: b"", body: body.as_bytes() }
    }

    #[test]
    fn a_frame_answers_the_oldest_event_of_its_user() {
        let board = Board::new(vec![vec![]; 5], 2);
        for _ in 0..4 {
            board.next(Instant::now());
        }
        assert!(board.next(Instant::now()).is_some() && board.next(Instant::now()).is_none());
        assert_eq!(board.missing(), 5);
        assert!(board.frame(1, PATCH));
        assert_eq!(board.missing(), 4);
        assert!(board.frame(0, &PATCH.replace('8', "9")), "two revisions in one frame");
        assert_eq!(board.missing(), 2);
        assert_eq!(board.seen().latency.count(), 3);
        assert_eq!(board.seen().mean_patch(), 12.0);
    }

    #[test]
    fn an_event_without_a_revision_waits_for_no_frame() {
        let board = Board::new(vec![vec![]; 2], 1);
        board.next(Instant::now());
        board.next(Instant::now());
        board.answered(0, &answer(r#"{"applied":0,"unchanged":1}"#));
        board.answered(1, &answer(r#"{"applied":1,"unchanged":0}"#));
        assert_eq!((board.missing(), board.seen().without_change), (1, 1));
        assert!(!board.frame(0, r#"{"type":"error"}"#));
    }
}
