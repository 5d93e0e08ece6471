//! The load: several connections post at once until the server is gone, and record every answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::feed::{self, Event, EventGenerator, Outcome};
use crate::harness::Server;
use crate::random::Random;

/// Events that were sent, and the outcome of each.
pub(crate) type Sent = Vec<(Arc<Event>, Outcome)>;

/// Events that were sent lately: other connections send them again while their commit is still pending.
#[derive(Default)]
struct Recent(Mutex<Vec<Arc<Event>>>);

impl Recent {
    fn push(&self, event: &Arc<Event>) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() > 64 {
            events.drain(..32);
        }
        events.push(event.clone());
    }

    fn pick(&self, random: &mut Random) -> Option<Arc<Event>> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.len().checked_sub(1).map(|last| events[last - random.below(events.len().min(8))].clone())
    }
}

/// The running connections.
pub(crate) struct Load(Vec<JoinHandle<(Sent, Instant)>>);

impl Load {
    /// Starts `posting` connections that send one event a request, and `streaming` ones that send NDJSON.
    pub(crate) fn start(
        server: &Server,
        token: &str,
        generator: &Arc<EventGenerator>,
        posting: usize,
        streaming: usize,
        random: &mut Random,
    ) -> Self {
        let recent = Arc::new(Recent::default());
        let worker = |number| {
            let (generator, recent, random) = (generator.clone(), recent.clone(), Random(random.next()));
            let mut client = server.client(token);
            std::thread::spawn(move || {
                let mut worker = Worker { generator, recent, random, sent: Vec::new() };
                // Until the connection breaks.
                while worker.step(&mut client, number < posting).is_ok() {}
                (worker.sent, Instant::now())
            })
        };
        Self((0..posting + streaming).map(worker).collect())
    }

    /// Returns what was sent. No connection may have broken before the server was killed, at `killed`.
    pub(crate) fn finish(self, killed: Instant) -> Sent {
        let mut all = Vec::new();
        for worker in self.0 {
            let (sent, ended) = worker.join().expect("no answer is refused");
            assert!(ended >= killed, "a connection broke {:?} before the kill", killed - ended);
            all.extend(sent);
        }
        all
    }
}

struct Worker {
    generator: Arc<EventGenerator>,
    recent: Arc<Recent>,
    random: Random,
    sent: Sent,
}

impl Worker {
    fn step(&mut self, client: &mut crate::client::Client, posting: bool) -> io::Result<()> {
        let mut events: Vec<_> = self.generator.draw_some(&mut self.random).into_iter().map(Arc::new).collect();
        if posting {
            for event in events {
                self.post(client, event)?;
                if self.random.one_in(6)
                    && let Some(again) = self.recent.pick(&mut self.random)
                {
                    self.post(client, again)?;
                }
            }
            return Ok(());
        }
        for _ in 0..self.random.below(6) {
            events.extend(self.generator.draw_some(&mut self.random).into_iter().map(Arc::new));
        }
        for events in by_source(events).into_values() {
            self.stream(client, &events)?;
        }
        Ok(())
    }

    fn post(&mut self, client: &mut crate::client::Client, event: Arc<Event>) -> io::Result<()> {
        self.recent.push(&event);
        let answer = feed::post(client, &event);
        let outcome = answer.as_ref().map_or(Outcome::Unknown, |outcome| *outcome);
        self.sent.push((event, outcome));
        answer.map(|_| wait_if_busy(outcome))
    }

    fn stream(&mut self, client: &mut crate::client::Client, events: &[Arc<Event>]) -> io::Result<()> {
        let mut outcomes = vec![Outcome::Unknown; events.len()];
        let end = feed::stream(client, events, |index, outcome| outcomes[index] = outcome);
        outcomes.iter().rev().take(1).for_each(|outcome| wait_if_busy(*outcome));
        self.sent.extend(events.iter().cloned().zip(outcomes));
        end
    }
}

/// Waits before the next request if the server was busy.
fn wait_if_busy(outcome: Outcome) {
    if outcome == Outcome::Unknown {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Groups events by source: a stream has events of one source only.
pub(crate) fn by_source(events: impl IntoIterator<Item = Arc<Event>>) -> BTreeMap<String, Vec<Arc<Event>>> {
    let mut sources = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        sources.entry(event.source.clone()).or_default().push(event);
    }
    sources
}
