//! Takes the events of one request: validates and submits them in order, and collects their results.

use std::time::Duration;

use actors::{EventResult, Reply};
use domain::event::{FeedEvent, SharedText};
use domain::pipeline::validate::{Rejection, validate};
use domain::port::dead_letters::{DeadLetter, LetterDropped};
use domain::source::Source;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, timeout_at};

use super::result::{FeedResult, FeedStatus, Tally};
use super::state::FeedState;
use crate::http::problem::Problem;

/// Maximum number of events of one request that wait for their result.
const MAX_PENDING: usize = 4_096;
/// How long an event waits to be accepted before it is answered `busy`. While no feed gets a permit because the
/// checkpoint is far behind, a stream advances by one event in this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// The cost of the events that are taken before other requests of the worker get their turn, about a millisecond: the
/// bytes of the events, and [`EVENT_COST`] for each.
const TURN: usize = 32 * 1024;
/// The cost of an event besides its bytes.
const EVENT_COST: usize = 256;
/// The first pause before an event is submitted again, when no event of the same request is pending whose result could
/// make room. The pause doubles, because every attempt validates the event again.
const PAUSE: Duration = Duration::from_millis(5);
/// Maximum length of that pause.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The events of one request, their numbers and their results.
pub(super) struct Intake<'a> {
    state: &'a FeedState,
    source: Source,
    report_all: bool,
    deadline: Option<Instant>,
    sender: UnboundedSender<EventResult>,
    results: UnboundedReceiver<EventResult>,
    pending: PendingEvents,
    /// Number of events taken so far, which numbers them.
    taken: u64,
    tally: Tally,
    reports: Vec<FeedResult>,
    /// The cost of the events taken in this turn.
    turn: usize,
}

impl<'a> Intake<'a> {
    /// Returns an intake of events of `source`. With `report_all`, applied events are reported too. Events without a
    /// result at the deadline are answered `busy`.
    pub(super) fn new(state: &'a FeedState, source: Source, report_all: bool, deadline: Option<Instant>) -> Self {
        // Bounded by the number of pending events.
        let (sender, results) = mpsc::unbounded_channel();
        Self {
            state,
            source,
            report_all,
            deadline,
            sender,
            results,
            pending: PendingEvents::default(),
            taken: 0,
            tally: Tally::default(),
            reports: Vec::new(),
            turn: 0,
        }
    }

    /// Takes the next event. Other requests of the worker get their turn now and then.
    pub(super) async fn take(&mut self, text: &[u8]) {
        self.take_event(text).await;
        self.end_turn(text.len()).await;
    }

    /// Adds to the cost of this turn, and ends the turn if it is used up.
    async fn end_turn(&mut self, bytes: usize) {
        self.turn += bytes + EVENT_COST;
        if self.turn >= TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
    }

    async fn take_event(&mut self, text: &[u8]) {
        let limit = self.state.limits.max_event_bytes;
        if text.len() > limit {
            return self.reject(&Rejection::too_large(limit, &text[..limit]), text);
        }
        self.settle_ready();
        while self.pending.len() >= MAX_PENDING && !self.is_late() {
            self.settle_next().await;
        }
        if self.is_late() {
            let index = self.taken;
            self.taken += 1;
            return self.conclude(FeedResult { index, id: None, status: FeedStatus::Busy });
        }
        match self.validated(text) {
            Ok(event) => self.submit(event, text).await,
            Err(rejection) => self.reject(&rejection, text),
        }
    }

    /// Takes an event that was too large to be read.
    pub(super) async fn take_too_large(&mut self) {
        self.reject(&Rejection::too_large(self.state.limits.max_event_bytes, b""), b"");
        self.end_turn(0).await;
    }

    /// Waits until all events have their result, or until the deadline.
    pub(super) async fn finish(&mut self) {
        while self.is_waiting() && !self.is_late() {
            self.settle_next().await;
        }
        self.settle_ready();
        // They may still be applied, but sending them again is safe.
        for (index, id) in self.pending.end_all() {
            self.conclude(FeedResult { index, id: Some(id.as_str().to_owned()), status: FeedStatus::Busy });
        }
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether events wait for their result.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.len() > 0
    }

    /// Waits for one result, or until the deadline. To be called only while [`Intake::is_waiting`].
    pub(super) async fn settle_next(&mut self) {
        let next = self.results.recv();
        // The channel cannot close, because `self` has a sender.
        let next = match self.deadline {
            Some(deadline) => timeout_at(deadline, next).await.unwrap_or(None),
            None => next.await,
        };
        if let Some(result) = next {
            self.settle(result);
        }
        self.settle_ready();
    }

    /// Returns the number of events with each status.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes the results to report since the last call.
    pub(super) fn reports(&mut self) -> impl Iterator<Item = FeedResult> {
        self.reports.drain(..)
    }

    fn validated(&self, text: &[u8]) -> Result<FeedEvent, Rejection> {
        validate(text, self.source, &self.state.rules, self.state.clock.now_micros())
    }

    /// Submits an event, and waits while the system is full or slows feeds down. Nothing more of the body is read
    /// meanwhile, so the events stay in order.
    async fn submit(&mut self, event: FeedEvent, text: &[u8]) {
        let received = std::time::Instant::now();
        let slot = self.pending.begin(self.taken, event.id.clone());
        self.taken += 1;
        let mut reply = Reply::stream(slot, self.sender.clone());
        let (mut event, mut pause) = (event, PAUSE);
        loop {
            reply = match self.state.profiles.submit(event, received, reply) {
                Ok(()) => return,
                Err((_, reply)) => reply,
            };
            if received.elapsed() > PATIENCE || self.is_late() {
                // Dropping the reply answers `busy`.
                return drop(reply);
            }
            match self.pending.len() {
                0 | 1 => {
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(MAX_PAUSE);
                }
                _ => self.settle_next().await,
            }
            // Validating it again in this rare case costs less than a copy of every event.
            event = match self.validated(text) {
                Ok(event) => event,
                Err(_) => return drop(reply),
            };
        }
    }

    /// Handles all results that are there.
    fn settle_ready(&mut self) {
        while let Ok(result) = self.results.try_recv() {
            self.settle(result);
        }
    }

    fn settle(&mut self, result: EventResult) {
        let (index, id) = self.pending.end(result.index);
        self.conclude(FeedResult { index, id: Some(id.as_str().to_owned()), status: result.status.into() });
    }

    fn reject(&mut self, rejection: &Rejection, text: &[u8]) {
        let status = FeedStatus::Rejected(keep(self.state, rejection, self.source, text));
        let index = self.taken;
        self.taken += 1;
        self.conclude(FeedResult { index, id: rejection.event_id.clone(), status });
    }

    /// Counts a result, and reports it if it is to be reported.
    fn conclude(&mut self, outcome: FeedResult) {
        outcome.status.count(&mut self.tally);
        self.state.metrics.count(self.source, outcome.status.number());
        if self.report_all || !outcome.status.is_applied() {
            self.reports.push(outcome);
        }
    }
}

/// Counts and keeps a rejected event that was posted alone. Returns the problem to answer with.
pub(super) fn keep_rejected(state: &FeedState, rejection: &Rejection, source: Source, text: &[u8]) -> Problem {
    state.metrics.count(source, FeedStatus::REJECTED);
    keep(state, rejection, source, text)
}

/// Counts and keeps an event that was posted alone and was too large to be read. Returns why it was not kept; `None` if
/// it was.
pub(super) fn keep_too_large(state: &FeedState, source: Source) -> Option<LetterDropped> {
    let rejection = Rejection::too_large(state.limits.max_event_bytes, b"");
    state.metrics.count(source, FeedStatus::REJECTED);
    state.dead_letters.keep(dead_letter(&rejection, source, b"", state.clock.now_micros())).err()
}

/// Keeps a rejected event as a dead letter. Returns its problem, which says if it was not kept.
fn keep(state: &FeedState, rejection: &Rejection, source: Source, text: &[u8]) -> Problem {
    let kept = state.dead_letters.keep(dead_letter(rejection, source, text, state.clock.now_micros()));
    Problem::rejected(rejection).with_dropped_letter(kept.err())
}

/// Returns the dead letter of a rejected event, without the body if that may contain data of class RED.
fn dead_letter(rejection: &Rejection, source: Source, text: &[u8], now_micros: i64) -> DeadLetter {
    DeadLetter {
        source: source.name().to_owned(),
        user: rejection.subject,
        event_id: rejection.event_id.clone(),
        event_type: rejection.event_type.clone(),
        problem: rejection.problem().name().to_owned(),
        pointer: rejection.pointer().map(str::to_owned),
        body: (!rejection.red && !text.is_empty()).then(|| text.to_vec()),
        rejected_at: now_micros,
    }
}

/// The events that wait for their result. Each has a slot, whose number is in its reply.
#[derive(Default)]
struct PendingEvents {
    slots: Vec<Option<(u64, SharedText)>>,
    free: Vec<u64>,
}

impl PendingEvents {
    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds an event, and returns its slot.
    fn begin(&mut self, index: u64, id: SharedText) -> u64 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u64 - 1
        });
        self.slots[slot as usize] = Some((index, id));
        slot
    }

    /// Removes all events, and returns them.
    fn end_all(&mut self) -> Vec<(u64, SharedText)> {
        self.free.clear();
        self.slots.drain(..).flatten().collect()
    }

    /// Removes the event in `slot`, and returns it.
    ///
    /// # Panics
    /// If the slot is empty, because a reply was answered twice.
    fn end(&mut self, slot: u64) -> (u64, SharedText) {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("a reply answers once")
    }
}
