//! The parts of a run in which users are read, changed, and loaded.

use super::users::UserRequests;
use super::{GOAL_FIRST_READ_MS, GOAL_LOADED, PATIENCE, WarmScenario};
use crate::drive::{DriveResult, drive};
use crate::exposition::Exposition;
use crate::pace::Pace;
use crate::report::{Goal, ScenarioReport};
use crate::scenario::{RunEnvironment, merge};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Number of users with an actor.
pub(super) const LIVE: &str = "profile_actors_live";
/// Number of users that are in memory without an actor. Servers that have no such users have no such metric.
pub(super) const WARM: &str = "profile_users_warm";
/// Number of users that were loaded from the store.
const LOADED: &str = "profile_actors_hydrated_total";

const CONNECTIONS: usize = 64;
/// Users that were just read and are surely hot, and how often they are read.
const HOT_USERS: u64 = 200;
const HOT_READS: usize = 200;
/// Number of requests that are rendered at a time.
const PART: u64 = 20_000;
/// Settings under which users that were loaded stay in memory, only they take memory, and one caller may subscribe to all.
const STAY_IN_MEMORY: &str =
    "actors.idle_passivate_s = 86_400\ncache.view_bytes = 0\nlive.max_sockets_per_caller = 4_000\n";

/// What reading many users took. Rendering the requests does not count.
#[derive(Default)]
pub(super) struct ReadCost {
    requests: u64,
    took: Duration,
    cpu: Duration,
}

impl ReadCost {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.took += other.took;
        self.cpu += other.cpu;
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// Reads every user in a part of the order, as fast as the server answers.
pub(super) async fn read_all(server: &Server, requests: &UserRequests, users: Range<u64>) -> Result<ReadCost> {
    let mut cost = ReadCost::default();
    for start in users.clone().step_by(PART as usize) {
        let script = Rc::new(requests.reads(start..users.end.min(start + PART)));
        let cpu_before = server.running().cpu();
        let driven = drive(server.listen(), CONNECTIONS, script, Pace::Closed(PATIENCE)).await?;
        ensure!(driven.busy + driven.refused == 0, "{} of the users could not be read", driven.busy + driven.refused);
        cost.requests += driven.served;
        cost.took += driven.took;
        cost.cpu += server.running().cpu() - cpu_before;
    }
    Ok(cost)
}

pub(super) async fn metric(server: &Server, name: &str) -> Result<f64> {
    Ok(Exposition::scrape(server.admin_listen()?).await?.sum(name, &[]).unwrap_or_default())
}

impl WarmScenario {
    /// Waits until no more actors passivate.
    pub(super) async fn settle(&self, environment: &RunEnvironment, server: &Server) -> Result<()> {
        const SHORTEST: Duration = Duration::from_secs(30);
        environment.progress.step("warm: waiting for users to passivate");
        let (start, mut live, mut same) = (Instant::now(), metric(server, LIVE).await?, 0);
        while start.elapsed() < PATIENCE && (start.elapsed() < SHORTEST || same < 10) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = metric(server, LIVE).await?;
            same = if now == live { same + 1 } else { 0 };
            live = now;
        }
        Ok(())
    }

    /// Reads users of whom nothing was asked since they passivated.
    pub(super) async fn read_first(
        &self,
        environment: &RunEnvironment,
        server: &Server,
        requests: &UserRequests,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        environment.progress.step(format!("warm: first reads, {} s", self.first_s));
        let count = ((self.first_rate * self.first_s) as u64).min(self.users);
        let pace =
            Pace::Open { rate: self.first_rate, length: Duration::from_secs_f64(count as f64 / self.first_rate) };
        let loaded_before = metric(server, LOADED).await?;
        let first = drive(server.listen(), CONNECTIONS, Rc::new(requests.reads(0..count)), pace).await?;
        let loaded = metric(server, LOADED).await? - loaded_before;
        report.figure("first reads", first.rate(), "/s");
        report.figure("  p50", first.latency.ms(0.5), "ms");
        report.goal("  p99", first.latency.ms(0.99), "ms", GOAL_FIRST_READ_MS);
        report.figure("  loaded from the store", 100.0 * loaded / count as f64, "%");
        let failed = first.busy + first.refused + first.unsent;
        report.goal("  failed or not sent", failed as f64, "", Goal::AtMost(0.0));
        report.detail("first reads", first.latency.summary());
        Ok(())
    }

    /// Sends reads and single events at the same time.
    pub(super) async fn drive_mix(
        &self,
        server: &Server,
        requests: &UserRequests,
    ) -> Result<(DriveResult, DriveResult)> {
        let length = Duration::from_secs_f64(self.mixed_s);
        let count = |rate: f64| (rate * self.mixed_s) as u64;
        // Not the users of the first reads, as far as there are others.
        let first = (self.first_rate * self.first_s) as u64;
        let reads = Rc::new(requests.reads(first..first + count(self.mixed_read_rate)));
        let middle = first + self.users / 2;
        let changes = Rc::new(requests.changes(middle..middle + count(self.mixed_event_rate)));
        let pace = |rate| Pace::Open { rate, length };
        tokio::try_join!(
            drive(server.listen(), CONNECTIONS, reads, pace(self.mixed_read_rate)),
            drive(server.listen(), CONNECTIONS, changes, pace(self.mixed_event_rate)),
        )
    }

    /// Starts the server again, loads users from the store, and reports the rate.
    pub(super) async fn load(
        &self,
        environment: &RunEnvironment,
        server: &mut Server,
        requests: &UserRequests,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        let mut settings = self.server.clone();
        merge(&mut settings, STAY_IN_MEMORY.parse().context("settings")?);
        let users = self.live_users.min(self.users);
        let start = server.restart_with(&settings)?;
        report.figure("started after", start.as_secs_f64(), "s");
        environment.progress.step(format!("warm: loading {users} users from the store"));
        let loaded_before = metric(server, LOADED).await?;
        let cold = read_all(server, requests, 0..users).await?;
        let loaded = metric(server, LOADED).await? - loaded_before;
        ensure!(loaded > 0.0, "no user was loaded from the store");
        environment.progress.step("warm: reading hot users");
        let mut again = ReadCost::default();
        for _ in 0..HOT_READS {
            again.add(&read_all(server, requests, users.saturating_sub(HOT_USERS)..users).await?);
        }
        let beside_read = cold.cpu.as_secs_f64() - again.cpu_us() * 1e-6 * cold.requests as f64;
        report.figure("users loaded from the store", loaded, "");
        report.figure("  over", loaded / cold.took.as_secs_f64(), "/s");
        report.figure("  processor time per read that loads", cold.cpu_us(), "µs");
        report.figure("  processor time per read of a hot user", again.cpu_us(), "µs");
        report.goal("  per second of processor time, beside the read", loaded / beside_read, "/s", GOAL_LOADED);
        Ok(())
    }
}
