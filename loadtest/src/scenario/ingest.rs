//! Measures durable ingest over NDJSON, between two slices of a bare durable log.

mod figures;
mod journal;
pub(super) mod samples;
mod slice;

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS, FeedingResult};
use crate::disk::DiskUsage;
use crate::exposition::Exposition;
use crate::population::Feeds;
use crate::process::{ended_cpu, own_cpu};
use crate::report::ScenarioReport;
use crate::server::{Server, StopResult};
use anyhow::{Result, ensure};
use samples::{Sample, Samples};
use serde::{Deserialize, Serialize};
use slice::FloorSlice;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    /// Number of distinct users.
    pub(crate) users: u64,
    pub(crate) seconds: u64,
    templates: u64,
    rounds: u64,
    floor_s: f64,
    state_bytes: u64,
    stop_s: u64,
}

/// What the server did.
struct ServerRun {
    fed: FeedingResult,
    samples: Vec<Sample>,
    /// Processor time in seconds: of the server during the run and until it had ended, and of this generator.
    cpu_s: f64,
    cpu_to_end_s: f64,
    own_cpu_s: f64,
    /// Bytes that were appended to the journal.
    journal: u64,
    /// Bytes that the server's process wrote to the disk during the run.
    written: u64,
    peak_memory: u64,
    /// After the server has stopped.
    disk: DiskUsage,
    stopped: StopResult,
    exposition: Exposition,
}

impl IngestScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        environment.progress.step(format!("ingest: preparing events of {} users", self.users));
        let feeds = Rc::new(Feeds::with_updates(self.users, self.templates, self.rounds));
        let length = Duration::from_secs_f64(self.floor_s);
        environment.progress.step(format!("ingest: bare durable log, {} s", self.floor_s));
        let before = FloorSlice::measure(environment, feeds.clone(), length).await?;
        environment.progress.step(format!("ingest: {} users, up to {} s", self.users, self.seconds));
        let run = self.run_server(environment, feeds.clone()).await?;
        environment.progress.step(format!("ingest: bare durable log, {} s", self.floor_s));
        let after = FloorSlice::measure(environment, feeds, length).await?;
        figures::add(self, &run, &[before, after], report);
        report.exposition = run.exposition;
        Ok(())
    }

    async fn run_server(&self, environment: &RunEnvironment, feeds: Rc<Feeds>) -> Result<ServerRun> {
        let mut server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let (cpu_before, own_before) = (server.running().cpu(), own_cpu());
        let (written_before, start) = (server.running().written(), Instant::now());
        let mut samples = Samples::start();
        let feeding =
            feeding::feed(server.listen(), &token, feeds, Duration::from_secs(self.seconds), |acknowledged| {
                environment.progress.show(|| {
                    let rate = acknowledged as f64 / start.elapsed().as_secs_f64();
                    format!("ingest: {acknowledged} events acknowledged, {rate:.0} /s")
                });
            });
        let fed = tokio::select! {
            fed = feeding => fed?,
            Err(error) = samples.record(&server) => return Err(error.context("the server could not be observed")),
        };
        let rejection = fed.first_rejection.as_deref().unwrap_or_default();
        ensure!(fed.tally.acknowledged() > 0, "no event was acknowledged: {rejection}");
        let cpu_s = (server.running().cpu() - cpu_before).as_secs_f64();
        let own_cpu_s = (own_cpu() - own_before).as_secs_f64();
        samples.add(&server).await?;
        let written = server.running().written() - written_before;
        let peak_memory = server.running().peak_memory();
        let exposition = Exposition::scrape(server.admin_listen()?).await?;

        environment.progress.step("ingest: stopping the server");
        let ended_before = ended_cpu();
        let stopped = server.stop_within(Duration::from_secs(self.stop_s))?;
        let cpu_to_end_s = (ended_cpu() - ended_before).saturating_sub(cpu_before).as_secs_f64();
        let (disk, journal) = (server.usage(), samples.journal.appended(server.data_dir()));
        let samples = samples.list;
        Ok(ServerRun {
            fed,
            samples,
            cpu_s,
            cpu_to_end_s,
            own_cpu_s,
            journal,
            written,
            peak_memory,
            disk,
            stopped,
            exposition,
        })
    }
}
