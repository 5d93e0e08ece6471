//! Posts one event per request, in turns with a bare durable log.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{DriveResult, RequestList, drive};
use crate::exposition::Exposition;
use crate::floor::Floor;
use crate::http;
use crate::latency::Latency;
use crate::pace::Pace;
use crate::population::Feeds;
use crate::process::{Process, own_cpu};
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::{median, ratio};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::Duration;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    connections: usize,
    turns: u64,
    requests: u64,
    open_requests: u64,
    open_share: f64,
}

/// Time limit of the closed loop, in case the server hangs. Normally it ends with its requests.
const LONGEST: Duration = Duration::from_secs(300);

/// The turns of the server, or those of the bare log.
struct Turns {
    rates: Vec<f64>,
    p99_ms: Vec<f64>,
    /// Processor time per request in microseconds: of the target, and of this generator.
    cpu_us: Vec<f64>,
    own_cpu_us: Vec<f64>,
    busy: u64,
    latency: Latency,
}

impl Turns {
    fn new() -> Self {
        let (rates, p99_ms, cpu_us, own_cpu_us) = Default::default();
        Self { rates, p99_ms, cpu_us, own_cpu_us, busy: 0, latency: Latency::new() }
    }

    /// Sends the requests to `target` as fast as it answers.
    async fn measure(&mut self, target: &Process, connections: usize, requests: Vec<Vec<u8>>) -> Result<()> {
        let (cpu_before, own_before) = (target.cpu(), own_cpu());
        let script = Rc::new(RequestList::new(requests));
        let driven = drive(target.listen, connections, script, Pace::Closed(LONGEST)).await?;
        check(&driven)?;
        let per_request = |time: Duration| time.as_secs_f64() * 1e6 / driven.served as f64;
        self.cpu_us.push(per_request(target.cpu() - cpu_before));
        self.own_cpu_us.push(per_request(own_cpu() - own_before));
        self.rates.push(driven.rate());
        self.p99_ms.push(driven.latency.ms(0.99));
        self.busy += driven.busy;
        self.latency.add(&driven.latency);
        Ok(())
    }
}

impl PostScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        environment.progress.step(format!("post: loading {} users", self.users));
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(self.users, self.users));
        feeding::load_users(server.listen(), &token, feeds.clone()).await?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let floor = Floor::start(&environment.baseline, &environment.scratch, workers)?;

        let render = |number: u64| {
            let event = feeds.people().update(number % self.users, number / self.users);
            http::post_event(event.source, &event.json, &token)
        };
        let requests = |first: u64, count: u64| (first..first + count).map(render).collect::<Vec<_>>();
        let (mut of_server, mut of_floor) = (Turns::new(), Turns::new());
        for turn in 0..self.turns {
            let requests = requests(turn * self.requests, self.requests);
            environment.progress.step(format!("post: turn {} of {}, bare durable log", turn + 1, self.turns));
            of_floor.measure(&floor.process, self.connections, requests.clone()).await?;
            environment.progress.step(format!("post: turn {} of {}, server", turn + 1, self.turns));
            of_server.measure(server.running(), self.connections, requests).await?;
        }
        self.report_closed(&of_server, &of_floor, report);

        let open_rate = median(&of_server.rates) * self.open_share;
        let length = Duration::from_secs_f64(self.open_requests as f64 / open_rate);
        environment.progress.step(format!("post: open loop at {open_rate:.0} /s"));
        let script = RequestList::new(requests(self.turns * self.requests, self.open_requests));
        let pace = Pace::Open { rate: open_rate, length };
        let open = drive(server.listen(), self.connections, Rc::new(script), pace).await?;
        check(&open)?;
        report.figure("open loop", open_rate, "/s");
        report.figure("  p50", open.latency.ms(0.5), "ms");
        report.goal("  p99", open.latency.ms(0.99), "ms", Goal::AtMost(10.0));
        report.goal("  due and not sent", open.unsent as f64, "", Goal::AtMost(0.0));
        report.detail("settings", self);
        report.detail("open", open.latency.summary());
        report.detail("open_p95_ms", open.latency.ms(0.95));
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    fn report_closed(&self, server: &Turns, floor: &Turns, report: &mut ScenarioReport) {
        report.figure(format!("one-event POSTs, {} connections", self.connections), median(&server.rates), "/s");
        report.figure("  bare durable log, in turns", median(&floor.rates), "/s");
        report.goal("  ratio to the bare log", ratio(&server.rates, &floor.rates), "", Goal::AtLeast(0.6));
        report.figure("  p50", server.latency.ms(0.5), "ms");
        report.figure("  p99", median(&server.p99_ms), "ms");
        report.figure("  p99 of the bare log", median(&floor.p99_ms), "ms");
        report.goal("  p99 to the bare log's", ratio(&server.p99_ms, &floor.p99_ms), "", Goal::AtMost(2.0));
        report.goal("  busy", server.busy as f64, "", Goal::AtMost(0.0));
        report.figure("  server's processor time per event", median(&server.cpu_us), "µs");
        report.figure("  of the bare log", median(&floor.cpu_us), "µs");
        report.figure("  of this generator", median(&server.own_cpu_us), "µs");
        report.detail("closed", server.latency.summary());
        report.detail("closed, bare log", floor.latency.summary());
    }
}

fn check(driven: &DriveResult) -> Result<()> {
    ensure!(driven.refused == 0, "{} events were refused", driven.refused);
    ensure!(driven.served > 0, "no event was acknowledged");
    Ok(())
}
