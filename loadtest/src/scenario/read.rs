//! Reads a hot profile, and compares the rate with that of a bare handler.

use super::RunEnvironment;
use super::feeding::ALL_FEEDS;
use crate::baseline::{self, StoredResponse};
use crate::drive::{DriveResult, RepeatedRequest, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection};
use crate::pace::Pace;
use crate::process::{Process, own_cpu};
use crate::report::{Goal, ScenarioReport, grouped};
use crate::server::Server;
use crate::statistics::{median, ratio};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadScenario {
    /// Settings of the server that override its defaults.
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

/// A server or handler to measure.
struct Target<'a> {
    name: &'static str,
    process: &'a Process,
    request: Vec<u8>,
    /// Requests per second in each turn.
    rates: Vec<f64>,
    /// The target's processor time per request in microseconds, in each turn.
    cpu_us: Vec<f64>,
    /// This generator's processor time per request in microseconds, in each turn.
    own_cpu_us: Vec<f64>,
}

impl ReadScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        report.detail("settings", self);
        for &workers in &self.workers {
            let mut settings = self.server.clone();
            super::merge(&mut settings, format!("http.workers = {workers}").parse().context("settings")?);
            let server = Server::start(&environment.server, &environment.scratch, &settings)?;
            post_example(&server).await?;
            for caller in &self.callers {
                self.compare(environment, &server, workers, caller, report).await?;
            }
            report.exposition = Exposition::scrape(server.admin_listen()?).await?;
            server.stop()?;
        }
        Ok(())
    }

    async fn compare(
        &self,
        environment: &RunEnvironment,
        server: &Server,
        workers: usize,
        caller: &str,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        let token = match caller {
            "service" => server.token("svc:dashboard", "service", "profile:read")?,
            "self" => server.token(data::EXAMPLE_USER, "self", "")?,
            _ => bail!("no caller `{caller}`: allowed are `service` and `self`"),
        };
        let request = http::get(&format!("/api/v2/profile/{}", data::EXAMPLE_USER), &token);
        let answer = fetch_response(server.listen(), &request).await?;
        let handler = answer.0.serve(&environment.baseline, workers)?;
        let target = |name, process, request| {
            let (rates, cpu_us, own_cpu_us) = (Vec::new(), Vec::new(), Vec::new());
            Target { name, process, request, rates, cpu_us, own_cpu_us }
        };
        let mut targets = [
            target("server", server.running(), request),
            // The same token, so that the requests are equally long.
            target("same headers", &handler, http::get(baseline::SAME, &token)),
            target("bare", &handler, http::get(baseline::BARE, &token)),
        ];

        let about = format!("{caller}, {workers} {}", if workers == 1 { "worker" } else { "workers" });
        for target in &targets {
            self.closed(target, 0.2).await.context("warm-up")?;
        }
        for turn in 1..=self.turns {
            for target in &mut targets {
                environment.progress.step(format!("read: {about}, turn {turn} of {}, {}", self.turns, target.name));
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
            environment.progress.step(format!("read: {about}, open loop, {}", target.name));
            open.push(self.open(target).await?);
        }
        self.add_figures(&about, workers, &answer, &targets, &open, report);
        Ok(())
    }

    async fn closed(&self, target: &Target<'_>, seconds: f64) -> Result<DriveResult> {
        self.drive(target, Pace::Closed(Duration::from_secs_f64(seconds))).await
    }

    async fn open(&self, target: &Target<'_>) -> Result<DriveResult> {
        self.drive(target, Pace::Open { rate: self.open_rate, length: Duration::from_secs_f64(self.open_s) }).await
    }

    async fn drive(&self, target: &Target<'_>, pace: Pace) -> Result<DriveResult> {
        let script = Rc::new(RepeatedRequest(target.request.clone()));
        let driven = drive(target.process.listen, self.connections, script, pace).await?;
        ensure!(driven.refused + driven.busy == 0, "{} returned {} errors", target.name, driven.refused);
        ensure!(driven.served > 0, "{} returned nothing", target.name);
        Ok(driven)
    }

    fn add_figures(
        &self,
        about: &str,
        workers: usize,
        (answer, bytes): &(StoredResponse, usize),
        targets: &[Target<'_>; 3],
        open: &[DriveResult],
        report: &mut ScenarioReport,
    ) {
        let [rate, same, bare] = [0, 1, 2].map(|target| median(&targets[target].rates));
        let [cpu, same_cpu, bare_cpu] = [0, 1, 2].map(|target| median(&targets[target].cpu_us));
        report.figure(format!("GET, {about}"), rate, "/s");
        report.figure(format!("  bare handler, same {} headers and {bytes} bytes", answer.header_count()), same, "/s");
        report.figure("  bare handler, the bytes alone", bare, "/s");
        let [to_same, to_bare] = [1, 2].map(|target| ratio(&targets[0].rates, &targets[target].rates));
        report.goal("  ratio to the same headers", to_same, "", Goal::AtLeast(0.9));
        let bare_goal = Goal::AtLeast(if workers == 1 { 0.55 } else { 0.8 });
        report.goal("  ratio to the bytes alone", to_bare, "", bare_goal);
        report.figure("  processor time per request", cpu, "µs");
        report.figure("  of the bare handler, same headers", same_cpu, "µs");
        report.figure("  of the bare handler, bytes alone", bare_cpu, "µs");
        report.figure("  of this generator", median(&targets[0].own_cpu_us), "µs");
        report.figure("  ratio to the same headers, by processor time", same_cpu / cpu, "");
        let [server, handler] = [0, 1].map(|target| open[target].latency.summary());
        let rate = grouped(self.open_rate);
        report.figure(format!("  open loop at {rate} /s, p50"), server.p50_ms, "ms");
        report.figure(format!("  open loop at {rate} /s, p99"), server.p99_ms, "ms");
        report.goal("  p99 to the bare handler's", server.p99_ms / handler.p99_ms, "", Goal::AtMost(2.0));
        report.goal("  due and not sent", open[0].unsent as f64, "", Goal::AtMost(0.0));
        report.detail(&format!("open loop, {about}"), [server, handler]);
        if report.details.get("open_p95_ms").is_none() {
            report.detail("open_p95_ms", server.p95_ms);
        }
    }
}

/// The part of an event that names its feed.
#[derive(Deserialize)]
struct ExampleEvent<'a> {
    source: &'a str,
}

/// Posts the example citizen's events one by one.
async fn post_example(server: &Server) -> Result<()> {
    let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
    let mut connection = Connection::open(server.listen()).await?;
    for line in data::example_events().lines() {
        let event: ExampleEvent<'_> = serde_json::from_str(line).context("an event of the example citizen")?;
        let feed = event.source.rsplit('/').next().unwrap_or_default();
        let reply = connection.exchange(&http::post_event(feed, line.as_bytes(), &token)).await?;
        reply.success().context("the example citizen's events")?;
    }
    Ok(())
}

/// Requests the profile once, as the response for the bare handler. Returns it with the length of its body.
async fn fetch_response(address: SocketAddr, request: &[u8]) -> Result<(StoredResponse, usize)> {
    let mut connection = Connection::open(address).await?;
    let reply = connection.exchange(request).await?;
    let bytes = reply.success().context("the hot profile")?.len();
    Ok((StoredResponse::from_response(reply.head, reply.body), bytes))
}
