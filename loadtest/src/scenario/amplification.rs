//! Measures how much disk and memory small events cost.

use super::RunEnvironment;
use super::feeding::ALL_FEEDS;
use crate::attack::burst::{self, EventLines};
use crate::attack::feeder::{self, BurstResult};
use crate::attack::large_user::{BatchSize, give_batch, give_deadlines};
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmplificationScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    bursts: Vec<Burst>,
    users: usize,
    events: u64,
    events_per_request: u64,
    burst_s: f64,
    answer_s: f64,
    stop_s: f64,
    batches: Vec<BatchSize>,
    deadlines: usize,
    description_characters: Vec<usize>,
    goal_ratio: f64,
    goal_memory_mb: f64,
}

/// The kind of events.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Burst {
    Statuses,
    Deadlines,
    Consents,
}

impl Burst {
    fn source(self) -> &'static str {
        match self {
            Self::Statuses => "schemes",
            Self::Deadlines => "deadlines",
            Self::Consents => "consent",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Statuses => "status events",
            Self::Deadlines => "deadline events",
            Self::Consents => "consent events",
        }
    }
}

/// The size of the users' lists that the server accepted.
#[derive(Debug, Clone, Copy, Serialize)]
struct LargeUser {
    batch: BatchSize,
    batch_bytes: usize,
    description_characters: usize,
    deadlines_bytes: usize,
}

impl AmplificationScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        for (number, &burst) in self.bursts.iter().enumerate() {
            environment.progress.step(format!("amplification: {}", burst.name()));
            let mut server = Server::start(&environment.server, &environment.scratch, &self.server)?;
            let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
            let large = self.make_large(&server, &token).await?;
            if number == 0 {
                report.figure(format!("large users: {}", large.batch.name()), large.batch_bytes as f64, "B");
                let deadlines = format!("{} deadlines of {} characters", self.deadlines, large.description_characters);
                report.figure(format!("  and {deadlines}"), large.deadlines_bytes as f64, "B");
                report.detail("large", large);
            }
            self.measure(burst, large, &mut server, &token, report).await?;
        }
        report.detail("settings", self);
        Ok(())
    }

    /// Gives every user the largest lists that the server accepts.
    async fn make_large(&self, server: &Server, token: &str) -> Result<LargeUser> {
        let (mut sizes, mut characters, mut large) = (self.batches.clone(), self.description_characters.clone(), None);
        for user in 0..self.users {
            let user = user_id(user);
            let batch = give_batch(server.listen(), token, &user, &sizes).await?;
            let deadlines = give_deadlines(server.listen(), token, &user, self.deadlines, &characters).await?;
            (sizes, characters) = (vec![batch.size], vec![deadlines.size]);
            large = Some(LargeUser {
                batch: batch.size,
                batch_bytes: batch.bytes,
                description_characters: deadlines.size,
                deadlines_bytes: deadlines.bytes,
            });
        }
        large.context("the scenario has no users")
    }

    async fn measure(
        &self,
        burst: Burst,
        large: LargeUser,
        server: &mut Server,
        token: &str,
        report: &mut ScenarioReport,
    ) -> Result<()> {
        let patience = Duration::from_secs_f64(self.stop_s);
        server.stop_within(patience)?;
        let before = server.usage();
        server.restart()?;
        let memory_before = server.running().memory();
        let fed = self.feed(burst, large, server, token).await?;
        let memory = server.running().peak_memory();
        let stopped = server.stop_within(patience)?;
        let grown = server.usage().since(before);
        let memory = memory.max(stopped.peak_memory);
        ensure!(fed.bytes > 0, "no {} were sent", burst.name());

        // Events that were not accepted write nothing. If responses are missing, the accepted events are unknown.
        let (accepted, answered) = (fed.tally.acknowledged(), fed.totals == fed.requests);
        let of_accepted = fed.bytes as f64 * accepted as f64 / fed.sent as f64;
        let posted = if answered { of_accepted } else { fed.bytes as f64 };
        ensure!(posted > 0.0, "none of the {} was accepted", burst.name());
        let mb = |bytes: u64| bytes as f64 / 1e6;
        report.figure(format!("{}, bytes posted", burst.name()), posted / 1e6, "MB");
        report.figure("  events sent", fed.sent as f64, "");
        report.figure("  events accepted, as far as answers came", accepted as f64, "");
        report.figure("  requests", fed.requests as f64, "");
        report.figure("  requests whose answer did not come in time", (fed.requests - fed.totals) as f64, "");
        let what = if answered { "" } else { ", at least" };
        let ratio = grown.used as f64 / posted;
        report.goal(format!("  bytes on disk per byte posted{what}"), ratio, "", Goal::AtMost(self.goal_ratio));
        if !answered && accepted > 0 {
            report.figure("  at most, per byte known to be accepted", grown.used as f64 / of_accepted, "");
        }
        report.figure("  growth on disk", mb(grown.used), "MB");
        report.figure("    of it the journal", mb(grown.journal), "MB");
        report.figure("    with preallocated blocks", mb(grown.allocated), "MB");
        report.figure("    as lengths of files", mb(grown.logical), "MB");
        report.figure("  memory before (resident)", mb(memory_before), "MB");
        report.goal("  peak memory (resident)", mb(memory), "MB", Goal::AtMost(self.goal_memory_mb));
        let how = if stopped.clean { "  stopped after" } else { "  killed, since it did not stop, after" };
        report.figure(how, stopped.took.as_secs_f64(), "s");
        let detail = json!({"fed": fed, "grown": grown, "before": before, "clean_stop": stopped.clean});
        report.detail(burst.name(), detail);
        Ok(())
    }

    async fn feed(&self, burst: Burst, large: LargeUser, server: &Server, token: &str) -> Result<BurstResult> {
        let (address, length) = (server.listen(), Duration::from_secs_f64(self.burst_s));
        let patience = Duration::from_secs_f64(self.answer_s);
        let (mut streams, mut fed) = (JoinSet::new(), BurstResult::default());
        for user in 0..self.users {
            let (lines, token) = (self.lines(burst, large, user_id(user)), token.to_owned());
            let (source, per_request) = (burst.source(), self.events_per_request);
            streams.spawn_local(async move {
                let (end, mut fed, lines) =
                    (Instant::now() + length, BurstResult::default(), Rc::new(RefCell::new(lines)));
                loop {
                    let piece = take_lines(lines.clone(), per_request);
                    let next = feeder::feed(address, source, &token, piece, length, patience).await?;
                    fed += next;
                    // A request without a response in time ends the burst.
                    if next.sent < per_request || next.totals == 0 || Instant::now() >= end {
                        return anyhow::Ok(fed);
                    }
                }
            });
        }
        while let Some(stream) = streams.join_next().await {
            fed += stream.context("a stream's task panicked")??;
        }
        Ok(fed)
    }

    fn lines(&self, burst: Burst, large: LargeUser, user: String) -> EventLines {
        match burst {
            Burst::Statuses => burst::statuses(user, large.batch.schemes, self.events),
            Burst::Deadlines => burst::deadlines(user, self.deadlines, self.events),
            Burst::Consents => burst::consents(user, self.events),
        }
    }
}

/// Takes at most `most` of the lines.
fn take_lines(lines: Rc<RefCell<EventLines>>, most: u64) -> EventLines {
    let mut left = most;
    Box::new(move |out| {
        if left == 0 {
            return false;
        }
        left -= 1;
        lines.borrow_mut()(out)
    })
}

fn user_id(number: usize) -> String {
    format!("usr_Attacker{number:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_cut_into_requests_and_none_of_its_events_is_lost() {
        let lines = Rc::new(RefCell::new(burst::consents(user_id(0), 7)));
        let counts = [0; 4].map(|_| {
            let (mut piece, mut out, mut count) = (take_lines(lines.clone(), 3), Vec::new(), 0);
            while piece(&mut out) {
                count += 1;
            }
            count
        });
        assert_eq!(counts, [3, 3, 1, 0]);
    }
}
