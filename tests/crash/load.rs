//! The load: several connections that post at once until the server is gone, and remember every answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::feed::{self, Event, Fate, Mint};
use crate::harness::Server;
use crate::random::Random;

/// What each connection learned.
pub(crate) type Sent = Vec<(Arc<Event>, Fate)>;

/// Events that were sent lately, for others to send again while their commit is still pending.
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

/// Connections at work.
pub(crate) struct Load(Vec<JoinHandle<(Sent, Instant)>>);

impl Load {
    /// Starts `posting` connections with one event a request and `streaming` ones with NDJSON.
    pub(crate) fn start(
        server: &Server,
        token: &str,
        mint: &Arc<Mint>,
        posting: usize,
        streaming: usize,
        random: &mut Random,
    ) -> Self {
        let recent = Arc::new(Recent::default());
        let worker = |number| {
            let (mint, recent, random) = (mint.clone(), recent.clone(), Random(random.next()));
            let mut client = server.client(token);
            std::thread::spawn(move || {
                let mut worker = Worker { mint, recent, random, sent: Vec::new() };
                // It goes on until the connection breaks.
                while worker.step(&mut client, number < posting).is_ok() {}
                (worker.sent, Instant::now())
            })
        };
        Self((0..posting + streaming).map(worker).collect())
    }

    /// All that was learned. No connection may have broken before the server was killed, at `killed`.
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
    mint: Arc<Mint>,
    recent: Arc<Recent>,
    random: Random,
    sent: Sent,
}

impl Worker {
    fn step(&mut self, client: &mut crate::client::Client, posting: bool) -> io::Result<()> {
        let mut events: Vec<_> = self.mint.some(&mut self.random).into_iter().map(Arc::new).collect();
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
            events.extend(self.mint.some(&mut self.random).into_iter().map(Arc::new));
        }
        for events in by_source(events).into_values() {
            self.stream(client, &events)?;
        }
        Ok(())
    }

    fn post(&mut self, client: &mut crate::client::Client, event: Arc<Event>) -> io::Result<()> {
        self.recent.push(&event);
        let answer = feed::post(client, &event);
        let fate = answer.as_ref().map_or(Fate::Unknown, |fate| *fate);
        self.sent.push((event, fate));
        answer.map(|_| wait_if_busy(fate))
    }

    fn stream(&mut self, client: &mut crate::client::Client, events: &[Arc<Event>]) -> io::Result<()> {
        let mut fates = vec![Fate::Unknown; events.len()];
        let end = feed::stream(client, events, |index, fate| fates[index] = fate);
        fates.iter().rev().take(1).for_each(|fate| wait_if_busy(*fate));
        self.sent.extend(events.iter().cloned().zip(fates));
        end
    }
}

/// A client that is told to come again does not come at once.
fn wait_if_busy(fate: Fate) {
    if fate == Fate::Unknown {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A stream speaks for one source only.
pub(crate) fn by_source(events: impl IntoIterator<Item = Arc<Event>>) -> BTreeMap<String, Vec<Arc<Event>>> {
    let mut sources = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        sources.entry(event.source.clone()).or_default().push(event);
    }
    sources
}
