//! From feed event to frame.

mod board;
mod socket;

use self::board::Board;
use super::Bench;
use super::feeding::{self, ALL_FEEDS};
use crate::drive::{Driven, drive};
use crate::exposition::Exposition;
use crate::http;
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, Outcome};
use crate::server::Server;
use crate::wall_clock;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Live {
    /// Settings of the server, over its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    sockets: usize,
    events_per_second: u64,
    seconds: u64,
    connections: usize,
}

/// How long the last frames may take.
const PATIENCE: Duration = Duration::from_secs(5);

impl Live {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        bench.progress.step(format!("live: making {} users known", self.sockets));
        let server = Server::start(&bench.server, &bench.scratch, &self.server)?;
        let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let users = self.sockets as u64;
        let feeds = Rc::new(Feeds::new(users, users));
        feeding::make_known(server.listen(), &token, feeds.clone()).await?;

        bench.progress.step(format!("live: opening {} sockets", self.sockets));
        let board = Rc::new(Board::new(self.requests(&feeds, &token), self.sockets));
        let mut sockets = JoinSet::new();
        for user in 0..self.sockets {
            let user_id = feeds.people().user_id(user as u64);
            let token = server.token(&user_id, "self", "")?;
            let socket = socket::subscribe(server.listen(), &user_id, &token).await?;
            sockets.spawn_local(socket::follow(socket, user, board.clone()));
        }

        bench.progress.step(format!("live: {} events/s for {} s", self.events_per_second, self.seconds));
        let pace = Pace::Open { rate: self.events_per_second as f64, length: Duration::from_secs(self.seconds) };
        let driven = drive(server.listen(), self.connections, board.clone(), pace).await?;
        ensure!(driven.refused == 0, "{} events were refused", driven.refused);
        let end = Instant::now() + PATIENCE;
        while board.missing() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(ended) = sockets.try_join_next() {
            ended.context("a socket's task died")?.context("a socket ended early")?;
        }
        sockets.abort_all();

        ensure!(board.seen().latency.count() > 0, "no frame came");
        self.tell(&board, &driven, outcome);
        outcome.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    fn tell(&self, board: &Board, driven: &Driven, outcome: &mut Outcome) {
        let seen = board.seen();
        let summary = seen.latency.summary();
        outcome.goal("event to frame, p50", summary.p50_ms, "ms", Goal::AtMost(3.0));
        outcome.goal("event to frame, p99", summary.p99_ms, "ms", Goal::AtMost(15.0));
        outcome.figure("  sockets", self.sockets as f64, "");
        outcome.figure("  events", driven.rate(), "/s");
        outcome.figure("  frames", seen.latency.count() as f64, "");
        outcome.figure("  events that changed nothing", seen.without_change as f64, "");
        outcome.goal("  frames that did not come", board.missing() as f64, "", Goal::AtMost(0.0));
        outcome.goal("  due and not sent", driven.unsent as f64, "", Goal::AtMost(0.0));
        outcome.goal("mean patch", seen.mean_patch(), "B", Goal::AtMost(300.0));
        outcome.figure("mean frame", seen.mean_frame(), "B");
        outcome.detail("settings", self);
        outcome.detail("event_to_frame", summary);
        outcome.detail("acknowledgement", driven.latency.summary());
    }

    /// All events, in the order in which they are due: user after user, and again. The number of a request tells
    /// whom it is about.
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
