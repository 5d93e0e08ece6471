//! Measures the latency from feed event to frame.

mod socket;
mod tracker;

use self::tracker::EventTracker;
use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{DriveResult, drive};
use crate::exposition::Exposition;
use crate::http;
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::wall_clock;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    sockets: usize,
    events_per_second: u64,
    seconds: u64,
    connections: usize,
}

/// How long to wait for the last frames.
const PATIENCE: Duration = Duration::from_secs(5);

impl LiveScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        environment.progress.step(format!("live: loading {} users", self.sockets));
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let users = self.sockets as u64;
        let feeds = Rc::new(Feeds::new(users, users));
        feeding::load_users(server.listen(), &token, feeds.clone()).await?;

        environment.progress.step(format!("live: opening {} sockets", self.sockets));
        let tracker = Rc::new(EventTracker::new(self.requests(&feeds, &token), self.sockets));
        let mut sockets = JoinSet::new();
        for user in 0..self.sockets {
            let user_id = feeds.people().user_id(user as u64);
            let token = server.token(&user_id, "self", "")?;
            let socket = socket::subscribe(server.listen(), &user_id, &token).await?;
            sockets.spawn_local(socket::follow(socket, user, tracker.clone()));
        }

        environment.progress.step(format!("live: {} events/s for {} s", self.events_per_second, self.seconds));
        let pace = Pace::Open { rate: self.events_per_second as f64, length: Duration::from_secs(self.seconds) };
        let driven = drive(server.listen(), self.connections, tracker.clone(), pace).await?;
        ensure!(driven.refused == 0, "{} events were refused", driven.refused);
        let end = Instant::now() + PATIENCE;
        while tracker.missing() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(ended) = sockets.try_join_next() {
            ended.context("a socket's task panicked")?.context("a socket ended early")?;
        }
        sockets.abort_all();

        ensure!(tracker.stats().latency.count() > 0, "no frame came");
        self.add_figures(&tracker, &driven, report);
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    fn add_figures(&self, tracker: &EventTracker, driven: &DriveResult, report: &mut ScenarioReport) {
        let stats = tracker.stats();
        let summary = stats.latency.summary();
        report.goal("event to frame, p50", summary.p50_ms, "ms", Goal::AtMost(3.0));
        report.goal("event to frame, p99", summary.p99_ms, "ms", Goal::AtMost(15.0));
        report.figure("  sockets", self.sockets as f64, "");
        report.figure("  events", driven.rate(), "/s");
        report.figure("  frames", stats.latency.count() as f64, "");
        report.figure("  events that changed nothing", stats.without_change as f64, "");
        report.goal("  frames that did not come", tracker.missing() as f64, "", Goal::AtMost(0.0));
        report.goal("  due and not sent", driven.unsent as f64, "", Goal::AtMost(0.0));
        report.goal("mean patch", stats.mean_patch(), "B", Goal::AtMost(300.0));
        report.figure("mean frame", stats.mean_frame(), "B");
        report.detail("settings", self);
        report.detail("event_to_frame", summary);
        report.detail("acknowledgement", driven.latency.summary());
    }

    /// Renders all requests in the order in which they are due, round-robin over the users, so a request's number gives
    /// its user.
    fn requests(&self, feeds: &Feeds, token: &str) -> Vec<Vec<u8>> {
        let users = self.sockets as u64;
        let count = self.events_per_second * self.seconds;
        let interval = 1_000_000 / self.events_per_second;
        let start = wall_clock::now_micros();
        let render = |number: u64| {
            let time = start + (number * interval) as i64;
            let event = feeds.people().update_at(number % users, number / users, time);
            http::post_event(event.source, &event.json, token)
        };
        (0..count).map(render).collect()
    }
}
