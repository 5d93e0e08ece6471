//! Erasures while events come in and profiles are read.

mod gone;

use self::gone::GoneTimes;
use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::attack::burst::{EventLines, numbered};
use crate::attack::event::render;
use crate::attack::feeder::{self, BurstResult};
use crate::attack::probe::{ProbePlan, ProbeStats, on_thread, probe};
use crate::exposition::Exposition;
use crate::http;
use crate::latency::Latency;
use crate::population::{Feeds, population};
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::{median, ratio};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    templates: u64,
    turns: u64,
    slice_s: f64,
    erase_rate: f64,
    get_rate: f64,
    streams: u64,
    connections: usize,
    timeout_s: f64,
    goal_p99_ms: f64,
}

/// How long the last frames may take after the last answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server and the tokens of a run.
struct Target {
    address: SocketAddr,
    feeder: String,
    reader: String,
    /// An administrator who has just used a second factor.
    eraser: String,
    /// Number of all users, those who are erased included.
    population: u64,
}

/// What was measured in a slice.
struct SliceResult {
    fed: BurstResult,
    reads: ProbeStats,
    erasures: Option<ProbeStats>,
}

impl ErasureScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let erased = (self.erase_rate * self.slice_s).ceil() as u64 * self.turns;
        let all = self.users + erased;
        environment.progress.step(format!("erasure: loading {all} users"));
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let feeder = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(all, self.templates));
        feeding::load_users(server.listen(), &feeder, feeds).await?;
        let reader = server.token("svc:dashboard", "service", "profile:read live:many")?;
        let gone = GoneTimes::follow(server.listen(), &reader, self.erased_ids(all)).await?;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for turn in 0..self.turns {
            environment.progress.step(format!("erasure: turn {} of {}", turn + 1, self.turns));
            // A second factor is fresh for five minutes.
            let eraser = server.token_with("adm:loadtest", "admin", "profile:read", &["--amr", "mfa"])?;
            let (address, feeder, reader) = (server.listen(), feeder.clone(), reader.clone());
            let target = Target { address, feeder, reader, eraser, population: all };
            alone.push(self.slice(&target, turn * 2, None).await?);
            beside.push(self.slice(&target, turn * 2 + 1, Some((&gone, turn))).await?);
        }
        gone.wait(PATIENCE).await;
        self.add_figures(&alone, &beside, &gone, report);
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    /// Returns the ids of the users who are erased: those behind the users who are read.
    fn erased_ids(&self, all: u64) -> Vec<String> {
        let people = population(all);
        (self.users..all).map(|user| people.user_id(user)).collect()
    }

    /// Measures a slice, with the erasures of a turn or without.
    async fn slice(&self, target: &Target, number: u64, erase: Option<(&GoneTimes, u64)>) -> Result<SliceResult> {
        let (length, timeout) = (Duration::from_secs_f64(self.slice_s), Duration::from_secs_f64(self.timeout_s));
        let mut streams = JoinSet::new();
        for stream in 0..self.streams {
            let lines = self.changes(target.population, number, stream);
            let (address, token) = (target.address, target.feeder.clone());
            streams.spawn_local(async move { feeder::feed(address, "metadata", &token, lines, length, timeout).await });
        }
        let Self { connections, get_rate, .. } = *self;
        let plan = ProbePlan { address: target.address, rate: get_rate, length, connections, timeout };
        let (users, all, reader) = (self.users, target.population, target.reader.clone());
        let reads = on_thread(move || async move {
            let people = population(all);
            // A prime, so that most users are read who were not read lately.
            let user = move |number: u64| people.user_id(number * 7_919 % users);
            let [reads] =
                probe(plan, move |number| [http::get(&format!("/api/v2/profile/{}", user(number)), &reader)]).await?;
            Ok(reads)
        });
        let erasures = async {
            let Some((gone, turn)) = erase else { return Ok(None) };
            let plan = ProbePlan { rate: self.erase_rate, ..plan };
            let (gone, token) = (gone.clone(), target.eraser.clone());
            let first = (self.erase_rate * self.slice_s).ceil() as u64 * turn;
            let [erasures] = probe(plan, move |number| [http::erase(gone.begin(first + number), &token)]).await?;
            anyhow::Ok(Some(erasures))
        };
        let (reads, erasures) = tokio::try_join!(reads, erasures)?;
        let mut fed = BurstResult::default();
        while let Some(stream) = streams.join_next().await {
            fed += stream.context("a stream's task panicked")??;
        }
        ensure!(fed.totals == self.streams, "a stream had no total in time: give a longer `timeout_s`");
        Ok(SliceResult { fed, reads, erasures })
    }

    /// Returns changes of a stream's share of the users, without end.
    fn changes(&self, all: u64, slice: u64, stream: u64) -> EventLines {
        let (people, users, streams) = (population(all), self.users, self.streams);
        numbered(u64::MAX, move |number, time, out| {
            let user = people.user_id((number * streams + stream) % users);
            let dependents = (slice + number / (users / streams).max(1)) % 20;
            let data = format!(r#"{{"fields":{{"family":{{"dependents":{dependents}}}}}}}"#);
            let id = format!("{slice}-{stream}-{number}");
            render(out, ["metadata", "user.metadata.updated"], &user, &id, time, &data);
        })
    }

    fn add_figures(
        &self,
        alone: &[SliceResult],
        beside: &[SliceResult],
        gone: &GoneTimes,
        report: &mut ScenarioReport,
    ) {
        let erasures = merged(beside.iter().filter_map(|slice| slice.erasures.as_ref()));
        let summary = erasures.latency.summary();
        report.figure("DELETE to receipt, p50", summary.p50_ms, "ms");
        report.goal("DELETE to receipt, p99", summary.p99_ms, "ms", Goal::AtMost(self.goal_p99_ms));
        let until_gone = gone.latency();
        report.figure("DELETE to frame `erased`, p50", until_gone.p50_ms, "ms");
        report.figure("DELETE to frame `erased`, p99", until_gone.p99_ms, "ms");
        report.figure("  erasures", erasures.count(200) as f64, "");
        let without_receipt = erasures.latency.count() - erasures.count(200);
        report.goal("  without a receipt", without_receipt as f64, "", Goal::AtMost(0.0));
        report.goal("  without the frame", gone.missing() as f64, "", Goal::AtMost(0.0));
        let rates = |slices: &[SliceResult]| -> Vec<f64> {
            slices.iter().map(|slice| slice.fed.tally.acknowledged() as f64 / self.slice_s).collect()
        };
        let (alone_rates, beside_rates) = (rates(alone), rates(beside));
        report.figure("events alone", median(&alone_rates), "/s");
        report.figure("events beside erasures", median(&beside_rates), "/s");
        report.goal("  ratio", ratio(&beside_rates, &alone_rates), "", Goal::AtLeast(0.9));
        let quantiles = |slices: &[SliceResult], quantile: f64| -> Vec<f64> {
            slices.iter().map(|slice| slice.reads.latency.ms(quantile)).collect()
        };
        for (name, quantile, most) in [("p50", 0.5, 1.2), ("p99", 0.99, 1.5)] {
            let (alone, beside) = (quantiles(alone, quantile), quantiles(beside, quantile));
            report.figure(format!("GET alone, {name}"), median(&alone), "ms");
            report.figure(format!("GET beside erasures, {name}"), median(&beside), "ms");
            report.goal("  ratio", ratio(&beside, &alone), "", Goal::AtMost(most));
        }
        report.detail("settings", self);
        report.detail("erasures", erasures.detail());
        report.detail("until_gone", until_gone);
        report.detail("events_per_second", [alone_rates, beside_rates]);
        report.detail("reads alone", merged(alone.iter().map(|slice| &slice.reads)).detail());
        report.detail("reads beside", merged(beside.iter().map(|slice| &slice.reads)).detail());
    }
}

/// Adds the results of several slices.
fn merged<'s>(slices: impl Iterator<Item = &'s ProbeStats>) -> ProbeStats {
    let mut all = ProbeStats { latency: Latency::new(), statuses: Default::default(), unanswered: 0, unsent: 0 };
    for slice in slices {
        all.latency.add(&slice.latency);
        slice.statuses.iter().for_each(|(status, count)| *all.statuses.entry(*status).or_default() += count);
        all.unanswered += slice.unanswered;
        all.unsent += slice.unsent;
    }
    all
}
