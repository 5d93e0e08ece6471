//! Requests of others during an attack: an open loop in which every request has a timeout, so that a stall of the
//! server is measured and does not block the run.

use crate::drive::local;
use crate::http::Connection;
use crate::latency::Latency;
use crate::pace::{Pace, Pacer};
use crate::report::{Goal, ScenarioReport};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where and how often requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbePlan {
    pub(crate) address: SocketAddr,
    /// Rounds per second.
    pub(crate) rate: f64,
    pub(crate) length: Duration,
    pub(crate) connections: usize,
    /// A request that takes longer counts as unanswered.
    pub(crate) timeout: Duration,
}

/// The results of one kind of request.
pub(crate) struct ProbeStats {
    /// Latency from when a request was due. Unanswered requests count with the time that they waited.
    pub(crate) latency: Latency,
    /// Number of responses by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests without a response in time, or whose connection was lost.
    pub(crate) unanswered: u64,
    /// Requests that were due and not sent, because all connections were waiting.
    pub(crate) unsent: u64,
}

impl ProbeStats {
    fn new() -> Self {
        Self { latency: Latency::new(), statuses: BTreeMap::new(), unanswered: 0, unsent: 0 }
    }

    /// Returns the number of responses with a status.
    pub(crate) fn count(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    /// Adds the figures to a report; `goal` is the goal for p99 in milliseconds.
    pub(crate) fn report(&self, name: &str, goal: Option<f64>, report: &mut ScenarioReport) {
        let summary = self.latency.summary();
        report.figure(format!("{name}, p50"), summary.p50_ms, "ms");
        match goal {
            Some(goal) => report.goal(format!("{name}, p99"), summary.p99_ms, "ms", Goal::AtMost(goal)),
            None => report.figure(format!("{name}, p99"), summary.p99_ms, "ms"),
        }
        report.figure(format!("{name}, longest"), summary.max_ms, "ms");
        for (what, count) in [
            ("answers 503 and 504", self.count(503) + self.count(504)),
            ("unanswered in time, or due and not sent", self.unanswered + self.unsent),
        ] {
            match goal {
                Some(_) => report.goal(format!("  {what}"), count as f64, "", Goal::AtMost(0.0)),
                None if count > 0 => report.figure(format!("  {what}"), count as f64, ""),
                None => {}
            }
        }
    }

    /// Returns all results, for the JSON file.
    pub(crate) fn detail(&self) -> impl Serialize {
        json!({
            "latency": self.latency.summary(),
            "statuses": self.statuses,
            "unanswered": self.unanswered,
            "unsent": self.unsent,
        })
    }
}

/// Sends rounds of requests, which `round` renders by their number. The first request of a round is due by the schedule,
/// each other one when the one before it was answered. A request without a response ends the round. Returns the results
/// by position in the round.
pub(crate) async fn probe<const N: usize>(
    plan: ProbePlan,
    round: impl Fn(u64) -> [Vec<u8>; N] + 'static,
) -> Result<[ProbeStats; N]> {
    let cut = Instant::now() + plan.length + plan.timeout;
    let pace = Pace::Open { rate: plan.rate, length: plan.length };
    let pacer = Rc::new(Pacer::start(pace).context("could not make a timer")?);
    let (number, round) = (Rc::new(Cell::new(0)), Rc::new(round));
    let answers = Rc::new(RefCell::new(std::array::from_fn::<_, N, _>(|_| ProbeStats::new())));
    let mut tasks = JoinSet::new();
    for _ in 0..plan.connections {
        let (pacer, number, round, answers) = (pacer.clone(), number.clone(), round.clone(), answers.clone());
        tasks.spawn_local(async move {
            let mut connection = None;
            while let Some(due) = pacer.next().await {
                if Instant::now() >= cut {
                    let first = &mut answers.borrow_mut()[0];
                    first.unsent += 1;
                    first.latency.record(due.elapsed());
                    continue;
                }
                let requests = round(number.replace(number.get() + 1));
                let mut since = due;
                for (place, request) in requests.iter().enumerate() {
                    let status = exchange(&mut connection, plan, request).await;
                    let answers = &mut answers.borrow_mut()[place];
                    answers.latency.record(since.elapsed());
                    let Some(status) = status else {
                        answers.unanswered += 1;
                        break;
                    };
                    *answers.statuses.entry(status).or_default() += 1;
                    since = Instant::now();
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.context("a connection's task panicked")?;
    }
    Ok(Rc::into_inner(answers).context("a connection is still at work")?.into_inner())
}

/// Sends a request over the connection, or over a new one. Returns the status, or `None` if no response came in time.
pub(crate) async fn exchange(connection: &mut Option<Connection>, plan: ProbePlan, request: &[u8]) -> Option<u16> {
    let work = async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(plan.address).await.ok()?,
        };
        let status = open.exchange(request).await.ok()?.status;
        // A connection that was lost or still waits for a response is not used again.
        *connection = Some(open);
        Some(status)
    };
    timeout(plan.timeout, work).await.ok().flatten()
}

/// Runs a future on a thread of its own, so that the measurement does not wait for the attack's work.
pub(crate) async fn on_thread<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    tokio::task::spawn_blocking(move || local(work())).await.context("the thread of requests panicked")?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_server::{self, FakeServer};
    use crate::http;

    fn run(fake: FakeServer, connections: usize) -> [ProbeStats; 2] {
        local(async {
            let address = fake_server::start(fake).await?;
            let (length, timeout) = (Duration::from_millis(200), Duration::from_millis(100));
            let plan = ProbePlan { address, rate: 100.0, length, connections, timeout };
            probe(plan, |_| [http::get("/first", ""), http::get("/second", "")]).await
        })
        .expect("probed")
    }

    #[test]
    fn every_request_of_a_round_is_counted_apart() {
        let [first, second] = run(FakeServer { status: 503, ..FakeServer::default() }, 4);
        assert_eq!((first.count(503), second.count(503)), (20, 20));
        assert_eq!((first.unanswered, first.unsent, first.latency.count()), (0, 0, 20));
    }

    #[test]
    fn a_server_that_stalls_is_counted_and_does_not_block_the_run() {
        let stall = Some((5, Duration::from_secs(3_600)));
        let [first, second] = run(FakeServer { stall, ..FakeServer::default() }, 1);
        assert_eq!((first.unanswered, second.unanswered), (1, 0));
        assert!(first.latency.ms(1.0) >= 100.0, "{} ms", first.latency.ms(1.0));
        assert_eq!(first.count(200) + first.unanswered + first.unsent, 20, "none is lost");
    }
}
