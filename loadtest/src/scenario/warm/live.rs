//! Users who are live because somebody subscribes to them.

use super::phases::{LIVE, metric};
use super::users::UserRequests;
use super::{GOAL_PER_LIVE_USER, WarmScenario};
use crate::report::ScenarioReport;
use crate::scenario::RunEnvironment;
use crate::scenario::sockets::{self, FrameCounter};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Users of one socket, within `live.max_subscriptions_per_socket`.
const USERS_PER_SOCKET: u64 = 1_000;
/// Users of one message of a client.
const USERS_PER_MESSAGE: u64 = 100;
/// How long the profiles of one socket may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl WarmScenario {
    /// Subscribes to users, and reports the memory of the server with their actors, sockets included.
    pub(super) async fn subscribe(
        &self,
        environment: &RunEnvironment,
        server: &Server,
        requests: &UserRequests,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        let users = self.live_users.min(self.users);
        let token = server.token("svc:dashboard", "service", "profile:read live:many")?;
        let handshake = sockets::handshake("/api/v2/live", &[("Authorization", &format!("Bearer {token}"))]);
        let counter = Rc::new(FrameCounter::default());
        let mut tasks = JoinSet::new();
        environment.progress.step(format!("warm: subscribing to {users} users"));
        for first in (0..users).step_by(USERS_PER_SOCKET as usize) {
            let end = users.min(first + USERS_PER_SOCKET);
            let messages = (first..end).step_by(USERS_PER_MESSAGE as usize);
            let messages: Vec<_> =
                messages.map(|at| requests.subscription(at..end.min(at + USERS_PER_MESSAGE))).collect();
            let socket = sockets::open(server.listen(), &handshake, &messages).await?;
            tasks.spawn_local(sockets::follow(socket, counter.clone()));
            wait_for(&counter, end, &mut tasks).await?;
            environment.progress.show(|| format!("warm: {end} users live"));
        }
        let (live, memory) = (metric(server, LIVE).await?, server.running().memory() as f64);
        report.figure("memory with live users (resident)", memory / 1e6, "MB");
        report.figure("  live actors", live, "");
        report.goal("  per live actor, with everything", memory / live, "B", GOAL_PER_LIVE_USER);
        tasks.abort_all();
        Ok(())
    }
}

/// Waits until the profiles of so many users have come.
async fn wait_for(counter: &FrameCounter, users: u64, tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    let start = Instant::now();
    while (counter.profiles() as u64) < users {
        if let Some(ended) = tasks.try_join_next() {
            ended.context("a receiver panicked")?.context("a socket ended early")?;
        }
        ensure!(start.elapsed() < PATIENCE, "{} of {users} profiles have come", counter.profiles());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
