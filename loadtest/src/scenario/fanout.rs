//! One hot profile, many sockets.

mod frames;
mod receiver;

use self::receiver::{Board, Seen};
use super::Bench;
use super::feeding::{self, ALL_FEEDS};
use super::read::{median, ratio};
use crate::drive::{Once, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection};
use crate::pace::Pace;
use crate::population::Feeds;
use crate::report::{Goal, Outcome};
use crate::server::{Running, Server, own_cpu};
use crate::wall_clock;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fanout {
    /// Settings of the server, over its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    sockets: usize,
    connections: usize,
    turns: usize,
    turn_s: f64,
    peer: PathBuf,
}

/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What was measured of one of the two, by turn.
#[derive(Default)]
struct Turns {
    /// Revisions that reached a client, of all clients, per second.
    rates: Vec<f64>,
    /// The same as frames.
    frame_rates: Vec<f64>,
    /// Processor time in microseconds per frame: of the sender, and of this generator.
    cpu_us: Vec<f64>,
    own_cpu_us: Vec<f64>,
}

impl Turns {
    fn add(&mut self, seen: Seen, took: Duration, cpu: Duration, own: Duration) {
        let seconds = took.as_secs_f64();
        let per_frame = |time: Duration| time.as_secs_f64() * 1e6 / seen.frames.max(1) as f64;
        self.rates.push(seen.steps as f64 / seconds);
        self.frame_rates.push(seen.frames as f64 / seconds);
        self.cpu_us.push(per_frame(cpu));
        self.own_cpu_us.push(per_frame(own));
    }
}

impl Fanout {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        let length = Duration::from_secs_f64(self.turn_s);
        let server = Server::start(&bench.server, &bench.scratch, &self.server)?;
        let poster = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(1, 1));
        feeding::make_known(server.listen(), &poster, feeds.clone()).await?;
        let user = feeds.people().user_id(0);
        let events = Events { feeds, token: poster, start: wall_clock::now_micros(), made: Cell::new(0) };

        bench.progress.step(format!("fanout: opening {} sockets", self.sockets));
        let board = Rc::new(Board::default());
        let mut tasks = JoinSet::new();
        let token = server.token(&user, "self", "")?;
        let subscribe = format!(r#"{{"type":"subscribe","users":[{{"user_id":"{user}"}}]}}"#);
        let handshake = receiver::handshake("/api/v2/live", &[("Authorization", &format!("Bearer {token}"))]);
        self.open(server.listen(), &handshake, Some(&subscribe), &board, &mut tasks).await?;
        drive(server.listen(), self.connections, events.take(WARM_UP.as_secs_f64()), Pace::Closed(WARM_UP)).await?;
        let bytes = board.take().mean_frame();

        let peer_board = Rc::new(Board::default());
        let peer = self.start_peer(bench, bytes)?;
        if let Some(peer) = &peer {
            let handshake = receiver::handshake("/", &[]);
            self.open(peer.listen, &handshake, None, &peer_board, &mut tasks).await?;
            // It has its warm-up too.
            steer(peer, "/start").await?;
            tokio::time::sleep(WARM_UP).await;
            steer(peer, "/stop").await?;
            settle(&peer_board).await;
        }
        let (mut ours, mut peers, mut merged) = (Turns::default(), Turns::default(), 0);
        for turn in 1..=self.turns {
            bench.progress.step(format!("fanout: turn {turn} of {}, server", self.turns));
            let script = events.take(self.turn_s);
            let (start, cpu, own) = (begin(&board), server.running().cpu(), own_cpu());
            let driven = drive(server.listen(), self.connections, script, Pace::Closed(length)).await?;
            ensure!(driven.refused == 0, "{} events were refused", driven.refused);
            let seen = board.take();
            ensure!(seen.frames > 0, "no patch came");
            merged += seen.merged;
            ours.add(seen, start.elapsed(), server.running().cpu() - cpu, own_cpu() - own);
            settle(&board).await;

            let Some(peer) = &peer else { continue };
            bench.progress.step(format!("fanout: turn {turn} of {}, npm ws", self.turns));
            let (start, cpu, own) = (begin(&peer_board), peer.cpu(), own_cpu());
            steer(peer, "/start").await?;
            tokio::time::sleep(length).await;
            peers.add(peer_board.take(), start.elapsed(), peer.cpu() - cpu, own_cpu() - own);
            steer(peer, "/stop").await?;
            settle(&peer_board).await;
        }
        if let Some(ended) = tasks.try_join_next() {
            ended.context("a receiver died")?.context("a socket ended early")?;
        }
        tasks.abort_all();
        self.tell(bytes, merged, &ours, peer.is_some().then_some(&peers), outcome);
        outcome.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    fn tell(&self, bytes: f64, merged: u64, ours: &Turns, peers: Option<&Turns>, outcome: &mut Outcome) {
        outcome.figure(format!("patches delivered, {} sockets", self.sockets), median(&ours.rates), "/s");
        outcome.figure("  frames", median(&ours.frame_rates), "/s");
        outcome.figure("  frames that hold several patches, in all", merged as f64, "");
        outcome.figure("  mean frame", bytes, "B");
        outcome.figure("  processor time per frame", median(&ours.cpu_us), "µs");
        outcome.figure("  of this generator", median(&ours.own_cpu_us), "µs");
        if let Some(peers) = peers {
            outcome.figure("npm ws 8, frames of the same size", median(&peers.frame_rates), "/s");
            outcome.figure("  processor time per frame", median(&peers.cpu_us), "µs");
            outcome.figure("  of this generator", median(&peers.own_cpu_us), "µs");
            // Frames, not patches: what was merged does not count twice.
            let to_peer = ratio(&ours.frame_rates, &peers.frame_rates);
            outcome.goal("ratio of frames to npm ws", to_peer, "", Goal::AtLeast(6.0));
            outcome.figure("  by processor time", median(&peers.cpu_us) / median(&ours.cpu_us), "");
        }
        outcome.detail("settings", self);
        outcome.detail("patches_per_second", &ours.rates);
        outcome.detail("frames_per_second", &ours.frame_rates);
        outcome.detail("peer_frames_per_second", peers.map(|peers| &peers.frame_rates));
    }

    async fn open(
        &self,
        address: SocketAddr,
        handshake: &[u8],
        subscribe: Option<&str>,
        board: &Rc<Board>,
        tasks: &mut JoinSet<Result<()>>,
    ) -> Result<()> {
        for _ in 0..self.sockets {
            let socket = receiver::open(address, handshake, subscribe).await?;
            tasks.spawn_local(receiver::follow(socket, board.clone()));
        }
        let end = Instant::now() + Duration::from_secs(20);
        while board.profiles() < self.sockets {
            ensure!(
                Instant::now() < end,
                "{} of {} sockets got no state",
                self.sockets - board.profiles(),
                self.sockets
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn start_peer(&self, bench: &Bench, bytes: f64) -> Result<Option<Running>> {
        if !Path::new(&self.peer).join("node_modules/ws").exists() {
            let install = format!("npm ci --prefix {}", self.peer.display());
            bench.progress.step(format!("fanout: nothing to compare with; `{install}` would bring it"));
            return Ok(None);
        }
        let mut command = Command::new("node");
        command.arg(self.peer.join("server.mjs")).arg(format!("{bytes:.0}"));
        Running::start(&mut command).map(Some)
    }
}

/// A turn starts with nothing counted.
fn begin(board: &Board) -> Instant {
    board.take();
    Instant::now()
}

/// Waits until nothing comes any more.
async fn settle(board: &Board) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if board.take().frames == 0 {
            return;
        }
    }
}

async fn steer(peer: &Running, path: &str) -> Result<()> {
    let mut connection = Connection::open(peer.listen).await?;
    connection.exchange(&http::get(path, "none")).await?.success()?;
    Ok(())
}

/// Small changes of one citizen, each younger than those before.
struct Events {
    feeds: Rc<Feeds>,
    token: String,
    /// The time of the first.
    start: i64,
    made: Cell<u64>,
}

impl Events {
    /// More than can be acknowledged in so many seconds.
    fn take(&self, seconds: f64) -> Rc<Once> {
        const PER_SECOND: f64 = 5_000.0;
        const APART_MICROS: i64 = 1_000;
        let from = self.made.get();
        let count = (seconds * PER_SECOND) as u64;
        self.made.set(from + count);
        let render = |number: u64| {
            let event = self.feeds.people().update_at(0, number, self.start + number as i64 * APART_MICROS);
            http::post_event(event.source, &event.json, &self.token)
        };
        Rc::new(Once::new((from..from + count).map(render).collect()))
    }
}
