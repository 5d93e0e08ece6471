//! Connections that send what a script says, when the pace says so.

use crate::http::{Connection, Reply};
use crate::latency::Latency;
use crate::pace::{Pace, Pacer};
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

/// What is sent. For one thread.
pub(crate) trait Script {
    /// The next request, and its number; `None` when there is none left. It was due at that instant.
    fn next(&self, due: Instant) -> Option<(usize, &[u8])>;

    /// Is told each answer.
    fn answered(&self, _number: usize, _reply: &Reply<'_>) {}
}

/// One request, again and again.
pub(crate) struct Again(pub(crate) Vec<u8>);

impl Script for Again {
    fn next(&self, _due: Instant) -> Option<(usize, &[u8])> {
        Some((0, &self.0))
    }
}

/// Each request once.
pub(crate) struct Once {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
}

impl Once {
    pub(crate) fn new(requests: Vec<Vec<u8>>) -> Self {
        Self { requests, next: Cell::new(0) }
    }
}

impl Script for Once {
    fn next(&self, _due: Instant) -> Option<(usize, &[u8])> {
        let number = self.next.get();
        self.next.set(number + 1);
        Some((number, self.requests.get(number)?))
    }
}

/// What came of it.
pub(crate) struct Driven {
    /// Answers with status 200.
    pub(crate) served: u64,
    /// Answers with status 503.
    pub(crate) busy: u64,
    /// Other answers.
    pub(crate) refused: u64,
    /// Requests that were due and not sent, because the server fell too far behind.
    pub(crate) unsent: u64,
    pub(crate) took: Duration,
    /// Of every answer, from when its request was due.
    pub(crate) latency: Latency,
}

impl Driven {
    /// Served requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.served as f64 / self.took.as_secs_f64()
    }
}

/// How long an open loop may go on after its schedule has ended.
const OVERTIME: Duration = Duration::from_secs(5);

/// Sends a script over so many connections. To be called within a [`LocalSet`], by [`local`].
pub(crate) async fn drive(
    address: SocketAddr,
    connections: usize,
    script: Rc<impl Script + 'static>,
    pace: Pace,
) -> Result<Driven> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let cut = match pace {
        Pace::Closed(length) | Pace::Open { length, .. } => Instant::now() + length + OVERTIME,
    };
    let driven = Driven { served: 0, busy: 0, refused: 0, unsent: 0, took: Duration::ZERO, latency: Latency::new() };
    let driven = Rc::new(RefCell::new(driven));
    let start = Instant::now();
    let pacer = Rc::new(Pacer::start(pace).context("could not make a timer")?);
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (script, pacer, driven) = (script.clone(), pacer.clone(), driven.clone());
        tasks.spawn_local(async move {
            while let Some(due) = pacer.next().await {
                let Some((number, request)) = script.next(due).filter(|_| due < cut && Instant::now() < cut) else {
                    break;
                };
                let reply = connection.exchange(request).await?;
                script.answered(number, &reply);
                let mut driven = driven.borrow_mut();
                driven.latency.record(due.elapsed());
                match reply.status {
                    200 => driven.served += 1,
                    503 => driven.busy += 1,
                    _ => driven.refused += 1,
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.context("a connection's task died")??;
    }
    let took = start.elapsed();
    let driven = Rc::into_inner(driven).context("a connection is still at work")?;
    Ok(Driven { took, unsent: pacer.unsent(), ..driven.into_inner() })
}

/// Runs a future on this thread, with local tasks.
pub(crate) fn local<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("could not start tokio")?;
    LocalSet::new().block_on(&runtime, work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Fake};
    use crate::http;

    fn run(fake: Fake, connections: usize, pace: Pace) -> Driven {
        local(async {
            let address = fake::start(fake).await?;
            drive(address, connections, Rc::new(Again(http::get("/", ""))), pace).await
        })
        .expect("driven")
    }

    fn open(rate: f64, millis: u64) -> Pace {
        Pace::Open { rate, length: Duration::from_millis(millis) }
    }

    #[test]
    fn a_script_is_sent_once_and_to_its_end() {
        let driven = local(async {
            let address = fake::start(Fake::default()).await?;
            let script = Once::new(vec![http::get("/", ""); 57]);
            drive(address, 4, Rc::new(script), Pace::Closed(Duration::from_secs(60))).await
        });
        let driven = driven.expect("driven");
        assert_eq!((driven.served, driven.latency.count()), (57, 57));
    }

    #[test]
    fn answers_are_told_apart_by_status() {
        for (status, expected) in [(200, (50, 0, 0)), (503, (0, 50, 0)), (404, (0, 0, 50))] {
            let driven = run(Fake { status, ..Fake::default() }, 2, open(1_000.0, 50));
            assert_eq!((driven.served, driven.busy, driven.refused), expected, "{status}");
        }
    }

    /// One request that takes long makes those behind it late: an open loop says so, a closed one hides it.
    #[test]
    fn an_open_loop_counts_what_waits_behind_a_stall() {
        let stall = Duration::from_millis(200);
        let fake = || Fake { stall: Some((20, stall)), ..Fake::default() };
        let open = run(fake(), 1, open(500.0, 400));
        assert_eq!((open.served, open.unsent), (200, 0));
        assert!(open.latency.ms(0.7) > 20.0, "the 30 % behind the stall are late: {} ms", open.latency.ms(0.7));
        assert!(open.latency.ms(1.0) >= 200.0);
    }
}
