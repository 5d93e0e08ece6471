//! Taking the events of one request: validated and submitted in order, a bounded number under way.

use std::time::{Duration, Instant};

use actors::{EventResult, Reply};
use domain::event::{FeedEvent, Text};
use domain::pipeline::validate::{Rejection, validate};
use domain::port::dead_letters::DeadLetter;
use domain::source::Source;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::outcome::{Outcome, Tally, Verdict};
use crate::http::door::Door;
use crate::http::problem::Problem;

/// Events of one request that wait for their result.
const WINDOW: usize = 4_096;
/// How long a stream is held up before an event of it is answered busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits when nothing of its own is under way that could free a place.
const PAUSE: Duration = Duration::from_millis(5);

/// One request's events.
pub(super) struct Intake<'a> {
    door: &'a Door,
    source: Source,
    report_all: bool,
    sender: UnboundedSender<EventResult>,
    results: UnboundedReceiver<EventResult>,
    under_way: UnderWay,
    taken: u64,
    tally: Tally,
    reports: Vec<Outcome>,
}

impl<'a> Intake<'a> {
    /// Events of `source`. Applied ones are reported too when `report_all`.
    pub(super) fn new(door: &'a Door, source: Source, report_all: bool) -> Self {
        // Unbounded, but never more than the window is under way.
        let (sender, results) = mpsc::unbounded_channel();
        Self {
            door,
            source,
            report_all,
            sender,
            results,
            under_way: UnderWay::default(),
            taken: 0,
            tally: Tally::default(),
            reports: Vec::new(),
        }
    }

    /// Takes the next event.
    pub(super) async fn take(&mut self, text: &[u8]) {
        let limit = self.door.http.max_event_bytes;
        if text.len() > limit {
            return self.reject(&Rejection::too_large(limit, &text[..limit]), text);
        }
        self.settle_ready();
        while self.under_way.len() >= WINDOW {
            self.settle_next().await;
        }
        match self.validated(text) {
            Ok(event) => self.submit(event, text).await,
            Err(rejection) => self.reject(&rejection, text),
        }
    }

    /// Takes an event that was too large to be kept.
    pub(super) fn take_too_large(&mut self) {
        self.reject(&Rejection::too_large(self.door.http.max_event_bytes, b""), b"");
    }

    /// Waits until every event that was taken has its result.
    pub(super) async fn finish(&mut self) {
        while self.under_way.len() > 0 {
            self.settle_next().await;
        }
    }

    /// Whether a result is still to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.under_way.len() > 0
    }

    /// Waits for one result; call it while [`Intake::is_waiting`].
    pub(super) async fn settle_next(&mut self) {
        // The channel cannot end: this end holds a sender.
        if let Some(result) = self.results.recv().await {
            self.settle(result);
        }
        self.settle_ready();
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// The outcomes to be reported since the last call.
    pub(super) fn reports(&mut self) -> impl Iterator<Item = Outcome> {
        self.reports.drain(..)
    }

    fn validated(&self, text: &[u8]) -> Result<FeedEvent, Rejection> {
        validate(text, self.source, &self.door.rules, self.door.clock.now_micros())
    }

    /// Holds the stream up while the system is full, so that its events stay in order and the sender slows down.
    async fn submit(&mut self, event: FeedEvent, text: &[u8]) {
        let received = Instant::now();
        let slot = self.under_way.begin(self.taken, event.id.clone());
        self.taken += 1;
        let mut reply = Reply::stream(slot, self.sender.clone());
        let mut event = event;
        loop {
            reply = match self.door.profiles.submit(event, received, reply) {
                Ok(()) => return,
                Err((_, reply)) => reply,
            };
            if received.elapsed() > PATIENCE {
                // A reply that is dropped answers busy.
                return drop(reply);
            }
            match self.under_way.len() {
                0 | 1 => tokio::time::sleep(PAUSE).await,
                _ => self.settle_next().await,
            }
            // It was valid, and is again: to keep a copy of each would cost more than this rare case.
            event = match self.validated(text) {
                Ok(event) => event,
                Err(_) => return drop(reply),
            };
        }
    }

    fn settle_ready(&mut self) {
        while let Ok(result) = self.results.try_recv() {
            self.settle(result);
        }
    }

    fn settle(&mut self, result: EventResult) {
        let (index, id) = self.under_way.end(result.index);
        self.conclude(Outcome { index, id: Some(id.as_str().to_owned()), verdict: result.status.into() });
    }

    fn reject(&mut self, rejection: &Rejection, text: &[u8]) {
        self.door.dead_letters.keep(dead_letter(rejection, self.source, text, self.door.clock.now_micros()));
        let verdict = Verdict::Rejected(Problem::rejected(rejection));
        let index = self.taken;
        self.taken += 1;
        self.conclude(Outcome { index, id: rejection.event_id.clone(), verdict });
    }

    fn conclude(&mut self, outcome: Outcome) {
        outcome.verdict.count(&mut self.tally);
        self.door.feed_metrics.count(self.source, outcome.verdict.number());
        if self.report_all || !outcome.verdict.is_applied() {
            self.reports.push(outcome);
        }
    }
}

/// What is kept of a rejected event: not its body, where something in it looks like class RED.
pub(super) fn dead_letter(rejection: &Rejection, source: Source, text: &[u8], now_micros: i64) -> DeadLetter {
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

/// The events under way: each has a slot, whose number stands in its reply.
#[derive(Default)]
struct UnderWay {
    slots: Vec<Option<(u64, Text)>>,
    free: Vec<u64>,
}

impl UnderWay {
    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn begin(&mut self, index: u64, id: Text) -> u64 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u64 - 1
        });
        self.slots[slot as usize] = Some((index, id));
        slot
    }

    /// # Panics
    /// If nothing is under way in `slot`: a reply was answered twice.
    fn end(&mut self, slot: u64) -> (u64, Text) {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("a reply answers once")
    }
}
