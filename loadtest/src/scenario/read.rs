//! GET of a hot profile, beside a bare handler.

use super::Bench;
use super::feeding::ALL_FEEDS;
use crate::baseline::{self, Answer};
use crate::drive::{Again, Driven, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection};
use crate::pace::Pace;
use crate::report::{Goal, Outcome, grouped};
use crate::server::{Running, Server, own_cpu};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    /// Settings of the server, over its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    callers: Vec<String>,
    connections: usize,
    workers: Vec<usize>,
    turns: usize,
    turn_s: f64,
    open_rate: f64,
    open_s: f64,
}

/// Someone who is asked.
struct Target<'a> {
    name: &'static str,
    process: &'a Running,
    request: Vec<u8>,
    /// Requests a second, by turn.
    rates: Vec<f64>,
    /// Processor time per request in microseconds, by turn.
    cpu_us: Vec<f64>,
    /// The same of this generator.
    own_cpu_us: Vec<f64>,
}

impl Read {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        outcome.detail("settings", self);
        for &workers in &self.workers {
            let mut settings = self.server.clone();
            super::merge(&mut settings, format!("http.workers = {workers}").parse().context("settings")?);
            let server = Server::start(&bench.server, &bench.scratch, &settings)?;
            post_example(&server).await?;
            for caller in &self.callers {
                self.compare(bench, &server, workers, caller, outcome).await?;
            }
            outcome.exposition = Exposition::scrape(server.admin_listen()?).await?;
            server.stop()?;
        }
        Ok(())
    }

    async fn compare(
        &self,
        bench: &Bench,
        server: &Server,
        workers: usize,
        caller: &str,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let token = match caller {
            "service" => server.token("svc:dashboard", "service", "profile:read")?,
            "self" => server.token(data::EXAMPLE_USER, "self", "")?,
            _ => bail!("no caller `{caller}`: allowed are `service` and `self`"),
        };
        let request = http::get(&format!("/api/v2/profile/{}", data::EXAMPLE_USER), &token);
        let answer = copy_answer(server.listen(), &request).await?;
        let handler = answer.0.serve(&bench.baseline, workers)?;
        let target = |name, process, request| {
            let (rates, cpu_us, own_cpu_us) = (Vec::new(), Vec::new(), Vec::new());
            Target { name, process, request, rates, cpu_us, own_cpu_us }
        };
        let mut targets = [
            target("server", server.running(), request),
            // As long as the server's request, so that both read the same.
            target("same headers", &handler, http::get(baseline::SAME, &token)),
            target("bare", &handler, http::get(baseline::BARE, &token)),
        ];

        let about = format!("{caller}, {workers} {}", if workers == 1 { "worker" } else { "workers" });
        for target in &targets {
            self.closed(target, 0.2).await.context("warm-up")?;
        }
        for turn in 1..=self.turns {
            for target in &mut targets {
                bench.progress.step(format!("read: {about}, turn {turn} of {}, {}", self.turns, target.name));
                let (cpu_before, own_before) = (target.process.cpu(), own_cpu());
                let driven = self.closed(target, self.turn_s).await?;
                let (cpu, own) = (target.process.cpu() - cpu_before, own_cpu() - own_before);
                let per_request = |time: Duration| time.as_secs_f64() * 1e6 / driven.served as f64;
                target.rates.push(driven.rate());
                target.cpu_us.push(per_request(cpu));
                target.own_cpu_us.push(per_request(own));
            }
        }
        let mut open = Vec::new();
        for target in &targets[..2] {
            bench.progress.step(format!("read: {about}, open loop, {}", target.name));
            open.push(self.open(target).await?);
        }
        self.tell(&about, workers, &answer, &targets, &open, outcome);
        Ok(())
    }

    async fn closed(&self, target: &Target<'_>, seconds: f64) -> Result<Driven> {
        self.drive(target, Pace::Closed(Duration::from_secs_f64(seconds))).await
    }

    async fn open(&self, target: &Target<'_>) -> Result<Driven> {
        self.drive(target, Pace::Open { rate: self.open_rate, length: Duration::from_secs_f64(self.open_s) }).await
    }

    async fn drive(&self, target: &Target<'_>, pace: Pace) -> Result<Driven> {
        let script = Rc::new(Again(target.request.clone()));
        let driven = drive(target.process.listen, self.connections, script, pace).await?;
        ensure!(driven.refused + driven.busy == 0, "{} answered {} times with an error", target.name, driven.refused);
        ensure!(driven.served > 0, "{} answered nothing", target.name);
        Ok(driven)
    }

    fn tell(
        &self,
        about: &str,
        workers: usize,
        (answer, bytes): &(Answer, usize),
        targets: &[Target<'_>; 3],
        open: &[Driven],
        outcome: &mut Outcome,
    ) {
        let [rate, same, bare] = [0, 1, 2].map(|target| median(&targets[target].rates));
        let [cpu, same_cpu, bare_cpu] = [0, 1, 2].map(|target| median(&targets[target].cpu_us));
        outcome.figure(format!("GET, {about}"), rate, "/s");
        outcome.figure(format!("  bare handler, same {} headers and {bytes} bytes", answer.header_count()), same, "/s");
        outcome.figure("  bare handler, the bytes alone", bare, "/s");
        let [to_same, to_bare] = [1, 2].map(|target| ratio(&targets[0].rates, &targets[target].rates));
        outcome.goal("  ratio to the same headers", to_same, "", Goal::AtLeast(0.9));
        let bare_goal = Goal::AtLeast(if workers == 1 { 0.55 } else { 0.8 });
        outcome.goal("  ratio to the bytes alone", to_bare, "", bare_goal);
        outcome.figure("  processor time per request", cpu, "µs");
        outcome.figure("  of the bare handler, same headers", same_cpu, "µs");
        outcome.figure("  of the bare handler, bytes alone", bare_cpu, "µs");
        outcome.figure("  of this generator", median(&targets[0].own_cpu_us), "µs");
        outcome.figure("  ratio to the same headers, by processor time", same_cpu / cpu, "");
        let [server, handler] = [0, 1].map(|target| open[target].latency.summary());
        let rate = grouped(self.open_rate);
        outcome.figure(format!("  open loop at {rate} /s, p50"), server.p50_ms, "ms");
        outcome.figure(format!("  open loop at {rate} /s, p99"), server.p99_ms, "ms");
        outcome.goal("  p99 to the bare handler's", server.p99_ms / handler.p99_ms, "", Goal::AtMost(2.0));
        outcome.goal("  due and not sent", open[0].unsent as f64, "", Goal::AtMost(0.0));
        outcome.detail(&format!("open loop, {about}"), [server, handler]);
        if outcome.details.get("open_p95_ms").is_none() {
            outcome.detail("open_p95_ms", server.p95_ms);
        }
    }
}

/// What an event says of its feed.
#[derive(Deserialize)]
struct Event<'a> {
    source: &'a str,
}

/// Posts the example citizen's events, one by one.
async fn post_example(server: &Server) -> Result<()> {
    let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
    let mut connection = Connection::open(server.listen()).await?;
    for line in data::example_events().lines() {
        let event: Event<'_> = serde_json::from_str(line).context("an event of the example citizen")?;
        let feed = event.source.rsplit('/').next().unwrap_or_default();
        let reply = connection.exchange(&http::post_event(feed, line.as_bytes(), &token)).await?;
        reply.success().context("the example citizen's events")?;
    }
    Ok(())
}

/// Asks once, to know what the bare handler has to send; and how many bytes of body that is.
async fn copy_answer(address: SocketAddr, request: &[u8]) -> Result<(Answer, usize)> {
    let mut connection = Connection::open(address).await?;
    let reply = connection.exchange(request).await?;
    let bytes = reply.success().context("the hot profile")?.len();
    Ok((Answer::copy(reply.head, reply.body), bytes))
}

/// The median of the ratios turn by turn: what disturbs one turn disturbs both sides of its ratio.
pub(super) fn ratio(rates: &[f64], others: &[f64]) -> f64 {
    let ratios: Vec<f64> = rates.iter().zip(others).map(|(rate, other)| rate / other).collect();
    median(&ratios)
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
