//! Many profiles in one request, from the view cache.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::baseline::{self, StoredResponse};
use crate::drive::{DriveResult, Script, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection, Reply};
use crate::pace::Pace;
use crate::population::Feeds;
use crate::process::{Process, own_cpu};
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::{median, ratio};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    users: u64,
    templates: u64,
    ids: u64,
    connections: usize,
    workers: usize,
    turns: usize,
    turn_s: f64,
}

const PATH: &str = "/api/v2/profiles/batch-get";
/// Profiles per second from the view cache.
const GOAL: Goal = Goal::AtLeast(300_000.0);
/// What every line of a profile that was read has.
const SERVED: &[u8] = b"\",\"status\":200,\"etag\":\"";

/// Batches that are sent in turn, and the length of the answer that each has to get.
struct Batches {
    requests: Vec<(Vec<u8>, usize)>,
    next: Cell<usize>,
    /// Number of answers of another length.
    wrong: Cell<u64>,
}

impl Batches {
    fn new(requests: Vec<(Vec<u8>, usize)>) -> Self {
        Self { requests, next: Cell::new(0), wrong: Cell::new(0) }
    }
}

impl Script for Batches {
    fn next(&self, _due: Instant) -> Option<(usize, &[u8])> {
        let number = self.next.get() % self.requests.len();
        self.next.set(number + 1);
        Some((number, &self.requests[number].0))
    }

    fn on_response(&self, number: usize, reply: &Reply<'_>) {
        // No profile changes meanwhile, so an answer of the right length has all of them.
        self.wrong.set(self.wrong.get() + u64::from(reply.body.len() != self.requests[number].1));
    }
}

/// The server or the handler, and what was measured of it in each turn.
struct Target<'a> {
    name: &'static str,
    process: &'a Process,
    batches: Rc<Batches>,
    /// Profiles per second.
    rates: Vec<f64>,
    /// The target's processor time per profile in microseconds.
    cpu_us: Vec<f64>,
    /// This generator's processor time per profile in microseconds.
    own_cpu_us: Vec<f64>,
}

impl BatchScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        report.detail("settings", self);
        ensure!(self.ids > 0 && self.users >= self.ids, "`users` must be at least `ids`, and `ids` at least 1");
        let mut settings = self.server.clone();
        super::merge(&mut settings, format!("http.workers = {}", self.workers).parse().context("settings")?);
        let server = Server::start(&environment.server, &environment.scratch, &settings)?;
        let feeds = Rc::new(Feeds::new(self.users, self.templates));
        environment.progress.step(format!("batch: posting the events of {} users", self.users));
        feeding::load_users(server.listen(), &server.token("svc:loadtest", "service", ALL_FEEDS)?, feeds.clone())
            .await?;

        let token = server.token("svc:dashboard", "service", "profile:read")?;
        let bodies: Vec<String> = (0..self.users / self.ids).map(|batch| self.body(&feeds, batch)).collect();
        let mut connection = Connection::open(server.listen()).await?;
        let (mut requests, mut answer) = (Vec::new(), None);
        for body in &bodies {
            let request = http::post_json(PATH, body, &token);
            let reply = connection.exchange(&request).await?;
            let read = reply.success().context("a batch")?;
            ensure!(self.is_whole(read), "a batch has other lines than {} profiles", self.ids);
            let length = read.len();
            answer.get_or_insert_with(|| (StoredResponse::from_response(reply.head, reply.body), length));
            requests.push((request, length));
        }
        let (answer, bytes) = answer.context("no batch was read")?;
        let handler = answer.serve(&environment.baseline, self.workers)?;
        let same = bodies.iter().map(|body| (http::post_json(baseline::PIECES, body, &token), bytes)).collect();
        let target = |name, process, requests| {
            let (rates, cpu_us, own_cpu_us) = (Vec::new(), Vec::new(), Vec::new());
            Target { name, process, batches: Rc::new(Batches::new(requests)), rates, cpu_us, own_cpu_us }
        };
        let mut targets = [target("server", server.running(), requests), target("bare handler", &handler, same)];
        for target in &targets {
            self.drive(target, 0.2).await.context("warm-up")?;
        }
        for turn in 1..=self.turns {
            for target in &mut targets {
                environment.progress.step(format!("batch: turn {turn} of {}, {}", self.turns, target.name));
                let (cpu_before, own_before) = (target.process.cpu(), own_cpu());
                let driven = self.drive(target, self.turn_s).await?;
                let (cpu, own) = (target.process.cpu() - cpu_before, own_cpu() - own_before);
                let profiles = (driven.served * self.ids) as f64;
                target.rates.push(profiles / driven.took.as_secs_f64());
                target.cpu_us.push(cpu.as_secs_f64() * 1e6 / profiles);
                target.own_cpu_us.push(own.as_secs_f64() * 1e6 / profiles);
            }
        }
        self.add_figures(&targets, bytes, report);
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop().map(drop)
    }

    /// Returns the body of a batch.
    fn body(&self, feeds: &Feeds, batch: u64) -> String {
        let users = batch * self.ids..(batch + 1) * self.ids;
        json!({"user_ids": users.map(|user| feeds.people().user_id(user)).collect::<Vec<_>>()}).to_string()
    }

    /// Returns whether an answer has a profile for each id.
    fn is_whole(&self, answer: &[u8]) -> bool {
        let lines = answer.split_inclusive(|byte| *byte == b'\n');
        let served = lines.filter(|line| line.windows(SERVED.len()).take(64).any(|part| part == SERVED));
        served.count() as u64 == self.ids
    }

    async fn drive(&self, target: &Target<'_>, seconds: f64) -> Result<DriveResult> {
        let pace = Pace::Closed(Duration::from_secs_f64(seconds));
        let driven = drive(target.process.listen, self.connections, target.batches.clone(), pace).await?;
        ensure!(driven.refused + driven.busy == 0, "{} returned {} errors", target.name, driven.refused + driven.busy);
        ensure!(driven.served > 0, "{} returned nothing", target.name);
        let wrong = target.batches.wrong.get();
        ensure!(wrong == 0, "{wrong} answers of {} have another length than before", target.name);
        Ok(driven)
    }

    fn add_figures(&self, targets: &[Target<'_>; 2], bytes: usize, report: &mut ScenarioReport) {
        let [server, handler] = targets;
        report.goal("batch-get, profiles from the view cache", median(&server.rates), "/s", GOAL);
        report.figure("  bytes of a line", bytes as f64 / self.ids as f64, "B");
        report.figure("  bare handler, the same bytes", median(&handler.rates), "/s");
        report.figure("  ratio to the bare handler", ratio(&server.rates, &handler.rates), "");
        report.figure("  processor time per profile", median(&server.cpu_us), "µs");
        report.figure("  of the bare handler", median(&handler.cpu_us), "µs");
        report.figure("  of this generator", median(&server.own_cpu_us), "µs");
    }
}
