//! Measures users that are known and not in use: memory, first reads, and loading them from the store.

mod fill;
mod live;
mod phases;
mod users;

use super::RunEnvironment;
use super::ingest::samples::Samples;
use crate::exposition::Exposition;
use crate::population::Feeds;
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use users::UserRequests;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WarmScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    templates: u64,
    data_dir: String,
    fill_s: u64,
    first_rate: f64,
    first_s: f64,
    mixed_read_rate: f64,
    mixed_event_rate: f64,
    mixed_s: f64,
    live_users: u64,
}

const GIB: f64 = 1_073_741_824.0;
/// Memory with ten million warm users, reads and merges going on.
const GOAL_WARM_BYTES: f64 = 10.0 * GIB;
const GOAL_PER_WARM_USER: Goal = Goal::AtMost(GOAL_WARM_BYTES / 10e6);
/// Memory of a million live actors is at most 1.9 GiB.
const GOAL_PER_LIVE_USER: Goal = Goal::AtMost(1.9 * GIB / 1e6);
const GOAL_FIRST_READ_MS: Goal = Goal::AtMost(1.0);
const GOAL_LOADED: Goal = Goal::AtLeast(30_000.0);
const GOAL_STOP_S: Goal = Goal::AtMost(5.0);

/// The server is killed if it takes longer to stop.
const PATIENCE: Duration = Duration::from_secs(300);

impl WarmScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let mut server = match self.data_dir.as_str() {
            "" => Server::start(&environment.server, &environment.scratch, &self.server)?,
            data_dir => Server::start_in(&environment.server, Path::new(data_dir), &self.server)?,
        };
        let empty = server.running().memory() as f64;
        let feeds = Feeds::new(self.users, self.templates);
        report.figure("users", self.users as f64, "");
        let feeds = self.fill(environment, &server, feeds, report).await?;
        let requests = UserRequests::new(feeds, &server)?;
        self.settle(environment, &server).await?;
        self.report_rest(&server, empty, report).await?;
        self.read_first(environment, &server, &requests, report).await?;
        self.mix(environment, &server, &requests, report).await?;
        let stopped = server.stop_within(PATIENCE)?;
        let how = if stopped.clean { "stopped after" } else { "killed, since it did not stop, after" };
        report.goal(how, stopped.took.as_secs_f64(), "s", GOAL_STOP_S);
        self.load(environment, &mut server, &requests, report).await?;
        self.subscribe(environment, &server, &requests, report).await?;
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        report.detail("settings", self);
        server.stop().map(drop)
    }

    /// Reports the memory of users that nobody uses.
    async fn report_rest(&self, server: &Server, empty: f64, report: &mut ScenarioReport) -> Result<()> {
        let memory = server.running().memory() as f64;
        let metrics = Exposition::scrape(server.admin_listen()?).await?;
        report.figure("memory at rest (resident)", memory / 1e6, "MB");
        report.figure("  of the empty server", empty / 1e6, "MB");
        report.goal("  per user", (memory - empty) / self.users as f64, "B", GOAL_PER_WARM_USER);
        report.figure("  live actors", metrics.sum(phases::LIVE, &[]).unwrap_or_default(), "");
        if let Some(warm) = metrics.sum(phases::WARM, &[]) {
            report.figure("  warm users", warm, "");
        }
        Ok(())
    }

    /// Reads and changes users in random order, and observes the memory meanwhile.
    async fn mix(
        &self,
        environment: &RunEnvironment,
        server: &Server,
        requests: &UserRequests,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        environment.progress.step(format!("warm: reads and events, {} s", self.mixed_s));
        let mut samples = Samples::start();
        let (reads, events) = tokio::select! {
            done = self.drive_mix(server, requests) => done?,
            Err(error) = samples.record(server) => return Err(error.context("the server could not be observed")),
        };
        samples.add(server).await?;
        let peak = samples.list.iter().map(|sample| sample.memory).max().context("no sample")? as f64;
        report.goal("memory with reads and events (resident)", peak / 1e6, "MB", Goal::AtMost(GOAL_WARM_BYTES / 1e6));
        for (what, driven) in [("reads", &reads), ("events", &events)] {
            report.figure(format!("  {what}"), driven.rate(), "/s");
            report.figure(format!("  {what}, p50"), driven.latency.ms(0.5), "ms");
            report.figure(format!("  {what}, p99"), driven.latency.ms(0.99), "ms");
            let failed = driven.busy + driven.refused + driven.unsent;
            report.goal(format!("  {what}, failed or not sent"), failed as f64, "", Goal::AtMost(0.0));
            report.detail(&format!("mixed {what}"), driven.latency.summary());
        }
        report.detail("samples", &samples.list);
        Ok(())
    }
}
