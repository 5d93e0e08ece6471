//! Posts one event per request.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{DriveResult, RequestList, drive};
use crate::exposition::Exposition;
use crate::http;
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
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
    requests: u64,
    open_share: f64,
}

/// Time limit of the closed loop, in case the server hangs. Normally it ends with its requests.
const LONGEST: Duration = Duration::from_secs(300);

impl PostScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        environment.progress.step(format!("post: loading {} users", self.users));
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(self.users, self.users));
        feeding::load_users(server.listen(), &token, feeds.clone()).await?;

        environment.progress.step("post: closed loop");
        let render = |number: u64| {
            let event = feeds.people().update(number % self.users, number / self.users);
            http::post_event(event.source, &event.json, &token)
        };
        let script = RequestList::new((0..self.requests).map(render).collect());
        let cpu_before = server.running().cpu();
        let closed = drive(server.listen(), self.connections, Rc::new(script), Pace::Closed(LONGEST)).await?;
        let cpu = server.running().cpu() - cpu_before;
        check(&closed)?;
        let rate = closed.rate();
        report.goal(format!("one-event POSTs, {} connections", self.connections), rate, "/s", Goal::AtLeast(25_000.0));
        report.figure("  p50", closed.latency.ms(0.5), "ms");
        report.goal("  p99", closed.latency.ms(0.99), "ms", Goal::AtMost(10.0));
        report.goal("  busy", closed.busy as f64, "", Goal::AtMost(0.0));
        report.figure("  server's processor time per event", cpu.as_secs_f64() * 1e6 / closed.served as f64, "µs");

        let requests = self.requests / 2;
        let open_rate = rate * self.open_share;
        let length = Duration::from_secs_f64(requests as f64 / open_rate);
        environment.progress.step(format!("post: open loop at {open_rate:.0} /s"));
        let script = RequestList::new((self.requests..self.requests + requests).map(render).collect());
        let pace = Pace::Open { rate: open_rate, length };
        let open = drive(server.listen(), self.connections, Rc::new(script), pace).await?;
        check(&open)?;
        report.figure("open loop", open_rate, "/s");
        report.figure("  p50", open.latency.ms(0.5), "ms");
        report.goal("  p99", open.latency.ms(0.99), "ms", Goal::AtMost(10.0));
        report.goal("  due and not sent", open.unsent as f64, "", Goal::AtMost(0.0));
        report.detail("settings", self);
        report.detail("closed", closed.latency.summary());
        report.detail("open", open.latency.summary());
        report.detail("open_p95_ms", open.latency.ms(0.95));
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }
}

fn check(driven: &DriveResult) -> Result<()> {
    ensure!(driven.refused == 0, "{} events were refused", driven.refused);
    ensure!(driven.served > 0, "no event was acknowledged");
    Ok(())
}
