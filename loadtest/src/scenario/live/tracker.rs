//! Matches events with the frames that they cause.

use crate::drive::Script;
use crate::http::Reply;
use crate::latency::Latency;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::time::Instant;

/// The requests in the order in which they are due, round-robin over the users, and the pending events of each user.
pub(super) struct EventTracker {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    pending: RefCell<Vec<VecDeque<PendingEvent>>>,
    stats: RefCell<FrameStats>,
}

/// An event that was sent and has no frame yet.
struct PendingEvent {
    number: usize,
    due: Instant,
}

/// Statistics of all frames.
pub(super) struct FrameStats {
    /// Time from when an event was due to when its frame was read.
    pub(super) latency: Latency,
    /// Events that were acknowledged without a new revision.
    pub(super) without_change: u64,
    patches: u64,
    patch_bytes: u64,
    patch_frame_bytes: u64,
}

impl FrameStats {
    /// Returns the mean number of bytes of a patch's `operations`.
    pub(super) fn mean_patch(&self) -> f64 {
        self.patch_bytes as f64 / self.patches.max(1) as f64
    }

    /// Returns the mean number of bytes of a patch's whole text.
    pub(super) fn mean_frame(&self) -> f64 {
        self.patch_frame_bytes as f64 / self.patches.max(1) as f64
    }
}

/// The parts of a frame that are measured.
#[derive(Deserialize)]
struct LiveFrame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    base_revision: Option<u64>,
    revision: Option<u64>,
    #[serde(borrow)]
    operations: Option<&'a RawValue>,
}

impl EventTracker {
    pub(super) fn new(requests: Vec<Vec<u8>>, users: usize) -> Self {
        let stats =
            FrameStats { latency: Latency::new(), without_change: 0, patches: 0, patch_bytes: 0, patch_frame_bytes: 0 };
        let pending = (0..users).map(|_| VecDeque::new()).collect();
        Self { requests, next: Cell::new(0), pending: RefCell::new(pending), stats: RefCell::new(stats) }
    }

    /// Records a frame that a user's socket has just read. Returns false if the frame is unexpected.
    pub(super) fn on_frame(&self, user: usize, text: &str) -> bool {
        let Ok(frame) = serde_json::from_str::<LiveFrame<'_>>(text) else { return false };
        let mut stats = self.stats.borrow_mut();
        let revisions = match frame.kind {
            "patch" => {
                stats.patches += 1;
                stats.patch_bytes += frame.operations.map_or(0, |operations| operations.get().len() as u64);
                stats.patch_frame_bytes += text.len() as u64;
                frame.revision.unwrap_or_default().saturating_sub(frame.base_revision.unwrap_or_default())
            }
            // A change of consent makes one revision.
            "profile" => 1,
            "completeness" | "pong" => 0,
            _ => return false,
        };
        let mut pending = self.pending.borrow_mut();
        for _ in 0..revisions {
            let Some(event) = pending[user].pop_front() else { break };
            stats.latency.record(event.due.elapsed());
        }
        true
    }

    /// Returns the number of events without a frame.
    pub(super) fn missing(&self) -> usize {
        self.pending.borrow().iter().map(VecDeque::len).sum()
    }

    pub(super) fn stats(&self) -> Ref<'_, FrameStats> {
        self.stats.borrow()
    }
}

impl Script for EventTracker {
    fn next(&self, due: Instant) -> Option<(usize, &[u8])> {
        let number = self.next.get();
        let request = self.requests.get(number)?;
        self.next.set(number + 1);
        let mut pending = self.pending.borrow_mut();
        let user = number % pending.len();
        pending[user].push_back(PendingEvent { number, due });
        Some((number, request))
    }

    /// Removes an event that made no revision, because it gets no frame.
    fn on_response(&self, number: usize, reply: &Reply<'_>) {
        #[derive(Deserialize)]
        struct FeedResponse {
            #[serde(default)]
            applied: u64,
        }
        let applied =
            reply.status == 200 && serde_json::from_slice::<FeedResponse>(reply.body).is_ok_and(|it| it.applied > 0);
        if !applied {
            let mut pending = self.pending.borrow_mut();
            let user = number % pending.len();
            pending[user].retain(|event| event.number != number);
            self.stats.borrow_mut().without_change += 1;
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
        let tracker = EventTracker::new(vec![vec![]; 5], 2);
        for _ in 0..4 {
            tracker.next(Instant::now());
        }
        assert!(tracker.next(Instant::now()).is_some() && tracker.next(Instant::now()).is_none());
        assert_eq!(tracker.missing(), 5);
        assert!(tracker.on_frame(1, PATCH));
        assert_eq!(tracker.missing(), 4);
        assert!(tracker.on_frame(0, &PATCH.replace('8', "9")), "two revisions in one frame");
        assert_eq!(tracker.missing(), 2);
        assert_eq!(tracker.stats().latency.count(), 3);
        assert_eq!(tracker.stats().mean_patch(), 12.0);
    }

    #[test]
    fn an_event_without_a_revision_waits_for_no_frame() {
        let tracker = EventTracker::new(vec![vec![]; 2], 1);
        tracker.next(Instant::now());
        tracker.next(Instant::now());
        tracker.on_response(0, &answer(r#"{"applied":0,"unchanged":1}"#));
        tracker.on_response(1, &answer(r#"{"applied":1,"unchanged":0}"#));
        assert_eq!((tracker.missing(), tracker.stats().without_change), (1, 1));
        assert!(!tracker.on_frame(0, r#"{"type":"error"}"#));
    }
}
