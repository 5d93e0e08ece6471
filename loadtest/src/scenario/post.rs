//! One event a request.

use super::Bench;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{Driven, Once, drive};
use crate::exposition::Exposition;
use crate::http;
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, Outcome};
use crate::server::Server;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::Duration;

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Post {
    /// Settings of the server, over its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    connections: usize,
    requests: u64,
    open_share: f64,
}

/// The closed loop ends with its requests; this only bounds a server that hangs.
const LONGEST: Duration = Duration::from_secs(300);

impl Post {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        bench.progress.step(format!("post: making {} users known", self.users));
        let server = Server::start(&bench.server, &bench.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(self.users, self.users));
        feeding::make_known(server.listen(), &token, feeds.clone()).await?;

        bench.progress.step("post: closed loop");
        let render = |number: u64| {
            let event = feeds.people().update(number % self.users, number / self.users);
            http::post_event(event.source, &event.json, &token)
        };
        let script = Once::new((0..self.requests).map(render).collect());
        let cpu_before = server.running().cpu();
        let closed = drive(server.listen(), self.connections, Rc::new(script), Pace::Closed(LONGEST)).await?;
        let cpu = server.running().cpu() - cpu_before;
        check(&closed)?;
        let rate = closed.rate();
        outcome.goal(format!("one-event POSTs, {} connections", self.connections), rate, "/s", Goal::AtLeast(25_000.0));
        outcome.figure("  p50", closed.latency.ms(0.5), "ms");
        outcome.goal("  p99", closed.latency.ms(0.99), "ms", Goal::AtMost(10.0));
        outcome.goal("  busy", closed.busy as f64, "", Goal::AtMost(0.0));
        outcome.figure("  server's processor time per event", cpu.as_secs_f64() * 1e6 / closed.served as f64, "µs");

        let requests = self.requests / 2;
        let open_rate = rate * self.open_share;
        let length = Duration::from_secs_f64(requests as f64 / open_rate);
        bench.progress.step(format!("post: open loop at {open_rate:.0} /s"));
        let script = Once::new((self.requests..self.requests + requests).map(render).collect());
        let pace = Pace::Open { rate: open_rate, length };
        let open = drive(server.listen(), self.connections, Rc::new(script), pace).await?;
        check(&open)?;
        outcome.figure("open loop", open_rate, "/s");
        outcome.figure("  p50", open.latency.ms(0.5), "ms");
        outcome.goal("  p99", open.latency.ms(0.99), "ms", Goal::AtMost(10.0));
        outcome.goal("  due and not sent", open.unsent as f64, "", Goal::AtMost(0.0));
        outcome.detail("settings", self);
        outcome.detail("closed", closed.latency.summary());
        outcome.detail("open", open.latency.summary());
        outcome.detail("open_p95_ms", open.latency.ms(0.95));
        outcome.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }
}

fn check(driven: &Driven) -> Result<()> {
    ensure!(driven.refused == 0, "{} events were refused", driven.refused);
    ensure!(driven.served > 0, "no event was acknowledged");
    Ok(())
}
