//! Connections that send the requests of a script at a given pace.

use crate::http::{Connection, Reply};
use crate::latency::Latency;
use crate::pace::{Pace, Pacer};
use anyhow::{Context, Result};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

/// The requests to send, for one thread.
pub(crate) trait Script {
    /// Returns the next request and its number, or `None` if there are no more. The request was due at `due`.
    fn next(&self, due: Instant) -> Option<(usize, &[u8])>;

    /// Receives each response.
    fn on_response(&self, _number: usize, _reply: &Reply<'_>) {}
}

/// Repeats one request without end.
pub(crate) struct RepeatedRequest(pub(crate) Vec<u8>);

impl Script for RepeatedRequest {
    fn next(&self, _due: Instant) -> Option<(usize, &[u8])> {
        Some((0, &self.0))
    }
}

/// Sends each request once.
pub(crate) struct RequestList {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
}

impl RequestList {
    pub(crate) fn new(requests: Vec<Vec<u8>>) -> Self {
        Self { requests, next: Cell::new(0) }
    }
}

impl Script for RequestList {
    fn next(&self, _due: Instant) -> Option<(usize, &[u8])> {
        let number = self.next.get();
        self.next.set(number + 1);
        Some((number, self.requests.get(number)?))
    }
}

/// What was sent, and how it was answered.
pub(crate) struct DriveResult {
    /// Responses with status 200.
    pub(crate) served: u64,
    /// Responses with status 503.
    pub(crate) busy: u64,
    /// Responses with another status.
    pub(crate) refused: u64,
    /// Requests that were due and not sent, because the server fell too far behind.
    pub(crate) unsent: u64,
    pub(crate) took: Duration,
    /// Latency of every response, from when its request was due.
    pub(crate) latency: Latency,
}

impl DriveResult {
    /// Returns the number of served requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.served as f64 / self.took.as_secs_f64()
    }
}

/// How long requests may be sent after the end of the schedule.
const OVERTIME: Duration = Duration::from_secs(5);

/// Sends a script over a number of connections. The caller runs in a [`LocalSet`], see [`local`].
pub(crate) async fn drive(
    address: SocketAddr,
    connections: usize,
    script: Rc<impl Script + 'static>,
    pace: Pace,
) -> Result<DriveResult> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let cut = match pace {
        Pace::Closed(length) | Pace::Open { length, .. } => Instant::now() + length + OVERTIME,
    };
    let driven =
        DriveResult { served: 0, busy: 0, refused: 0, unsent: 0, took: Duration::ZERO, latency: Latency::new() };
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
                script.on_response(number, &reply);
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
        task.context("a connection's task panicked")??;
    }
    let took = start.elapsed();
    let driven = Rc::into_inner(driven).context("a connection is still in use")?;
    Ok(DriveResult { took, unsent: pacer.unsent(), ..driven.into_inner() })
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
    use crate::fake_server::{self, FakeServer};
    use crate::http;

    fn run(fake: FakeServer, connections: usize, pace: Pace) -> DriveResult {
        local(async {
            let address = fake_server::start(fake).await?;
            drive(address, connections, Rc::new(RepeatedRequest(http::get("/", ""))), pace).await
        })
        .expect("driven")
    }

    fn open(rate: f64, millis: u64) -> Pace {
        Pace::Open { rate, length: Duration::from_millis(millis) }
    }

    #[test]
    fn a_script_is_sent_once_and_to_its_end() {
        let driven = local(async {
            let address = fake_server::start(FakeServer::default()).await?;
            let script = RequestList::new(vec![http::get("/", ""); 57]);
            drive(address, 4, Rc::new(script), Pace::Closed(Duration::from_secs(60))).await
        });
        let driven = driven.expect("driven");
        assert_eq!((driven.served, driven.latency.count()), (57, 57));
    }

    #[test]
    fn responses_are_counted_by_status() {
        for (status, expected) in [(200, (50, 0, 0)), (503, (0, 50, 0)), (404, (0, 0, 50))] {
            let driven = run(FakeServer { status, ..FakeServer::default() }, 2, open(1_000.0, 50));
            assert_eq!((driven.served, driven.busy, driven.refused), expected, "{status}");
        }
    }

    /// A slow request delays those behind it. An open loop shows that, a closed loop hides it.
    #[test]
    fn an_open_loop_counts_what_waits_behind_a_stall() {
        let stall = Duration::from_millis(200);
        let fake = || FakeServer { stall: Some((20, stall)), ..FakeServer::default() };
        let open = run(fake(), 1, open(500.0, 400));
        assert_eq!((open.served, open.unsent), (200, 0));
        assert!(open.latency.ms(0.7) > 20.0, "the 30 % behind the stall are late: {} ms", open.latency.ms(0.7));
        assert!(open.latency.ms(1.0) >= 200.0);
    }
}
