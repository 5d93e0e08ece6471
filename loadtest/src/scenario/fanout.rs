//! Sends the patches of one hot profile to many sockets.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use super::sockets::{self, FrameCounter, FrameCounts};
use crate::drive::{RequestList, drive};
use crate::exposition::Exposition;
use crate::http::{self, Connection};
use crate::pace::Pace;
use crate::population::Feeds;
use crate::process::{Process, own_cpu};
use crate::report::{Goal, ScenarioReport};
use crate::server::Server;
use crate::statistics::{median, ratio};
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

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FanoutScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    sockets: usize,
    connections: usize,
    turns: usize,
    turn_s: f64,
    peer: PathBuf,
}

/// How long to run before measuring.
const WARM_UP: Duration = Duration::from_secs(1);

/// The measurements of the server or of its peer, in each turn.
#[derive(Default)]
struct TurnFigures {
    /// Revisions per second that reached a client, summed over all clients.
    rates: Vec<f64>,
    /// Frames per second, summed over all clients.
    frame_rates: Vec<f64>,
    /// Processor time per frame in microseconds, of the sender and of this generator.
    cpu_us: Vec<f64>,
    own_cpu_us: Vec<f64>,
}

impl TurnFigures {
    fn add(&mut self, counts: FrameCounts, took: Duration, cpu: Duration, own: Duration) {
        let seconds = took.as_secs_f64();
        let per_frame = |time: Duration| time.as_secs_f64() * 1e6 / counts.frames.max(1) as f64;
        self.rates.push(counts.steps as f64 / seconds);
        self.frame_rates.push(counts.frames as f64 / seconds);
        self.cpu_us.push(per_frame(cpu));
        self.own_cpu_us.push(per_frame(own));
    }
}

impl FanoutScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let length = Duration::from_secs_f64(self.turn_s);
        let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
        let poster = server.token("svc:loadtest", "service", ALL_FEEDS)?;
        let feeds = Rc::new(Feeds::new(1, 1));
        feeding::load_users(server.listen(), &poster, feeds.clone()).await?;
        let user = feeds.people().user_id(0);
        let events = ChangeRequests { feeds, token: poster, start: wall_clock::now_micros(), made: Cell::new(0) };

        environment.progress.step(format!("fanout: opening {} sockets", self.sockets));
        let counter = Rc::new(FrameCounter::default());
        let mut tasks = JoinSet::new();
        let token = server.token(&user, "self", "")?;
        let subscribe = format!(r#"{{"type":"subscribe","users":[{{"user_id":"{user}"}}]}}"#);
        let handshake = sockets::handshake("/api/v2/live", &[("Authorization", &format!("Bearer {token}"))]);
        self.open(server.listen(), &handshake, &[subscribe], &counter, &mut tasks).await?;
        drive(server.listen(), self.connections, events.take(WARM_UP.as_secs_f64()), Pace::Closed(WARM_UP)).await?;
        let bytes = counter.take().mean_frame();

        let peer_counter = Rc::new(FrameCounter::default());
        let peer = self.start_peer(environment, bytes)?;
        if let Some(peer) = &peer {
            let handshake = sockets::handshake("/", &[]);
            self.open(peer.listen, &handshake, &[], &peer_counter, &mut tasks).await?;
            // The peer is warmed up, too.
            steer(peer, "/start").await?;
            tokio::time::sleep(WARM_UP).await;
            steer(peer, "/stop").await?;
            settle(&peer_counter).await;
        }
        let (mut ours, mut peers, mut merged) = (TurnFigures::default(), TurnFigures::default(), 0);
        for turn in 1..=self.turns {
            environment.progress.step(format!("fanout: turn {turn} of {}, server", self.turns));
            let script = events.take(self.turn_s);
            let (start, cpu, own) = (begin(&counter), server.running().cpu(), own_cpu());
            let driven = drive(server.listen(), self.connections, script, Pace::Closed(length)).await?;
            ensure!(driven.refused == 0, "{} events were refused", driven.refused);
            let counts = counter.take();
            ensure!(counts.frames > 0, "no patch came");
            merged += counts.merged;
            ours.add(counts, start.elapsed(), server.running().cpu() - cpu, own_cpu() - own);
            settle(&counter).await;

            let Some(peer) = &peer else { continue };
            environment.progress.step(format!("fanout: turn {turn} of {}, npm ws", self.turns));
            let (start, cpu, own) = (begin(&peer_counter), peer.cpu(), own_cpu());
            steer(peer, "/start").await?;
            tokio::time::sleep(length).await;
            peers.add(peer_counter.take(), start.elapsed(), peer.cpu() - cpu, own_cpu() - own);
            steer(peer, "/stop").await?;
            settle(&peer_counter).await;
        }
        if let Some(ended) = tasks.try_join_next() {
            ended.context("a receiver panicked")?.context("a socket ended early")?;
        }
        tasks.abort_all();
        self.add_figures(bytes, merged, &ours, peer.is_some().then_some(&peers), report);
        report.exposition = Exposition::scrape(server.admin_listen()?).await?;
        server.stop()?;
        Ok(())
    }

    fn add_figures(
        &self,
        bytes: f64,
        merged: u64,
        ours: &TurnFigures,
        peers: Option<&TurnFigures>,
        report: &mut ScenarioReport,
    ) {
        report.figure(format!("patches delivered, {} sockets", self.sockets), median(&ours.rates), "/s");
        report.figure("  frames", median(&ours.frame_rates), "/s");
        report.figure("  frames that hold several patches, in all", merged as f64, "");
        report.figure("  mean frame", bytes, "B");
        report.figure("  processor time per frame", median(&ours.cpu_us), "µs");
        report.figure("  of this generator", median(&ours.own_cpu_us), "µs");
        if let Some(peers) = peers {
            report.figure("npm ws 8, frames of the same size", median(&peers.frame_rates), "/s");
            report.figure("  processor time per frame", median(&peers.cpu_us), "µs");
            report.figure("  of this generator", median(&peers.own_cpu_us), "µs");
            // Compares frames, so that merged patches count once.
            let to_peer = ratio(&ours.frame_rates, &peers.frame_rates);
            report.goal("ratio of frames to npm ws", to_peer, "", Goal::AtLeast(6.0));
            report.figure("  by processor time", median(&peers.cpu_us) / median(&ours.cpu_us), "");
        }
        report.detail("settings", self);
        report.detail("patches_per_second", &ours.rates);
        report.detail("frames_per_second", &ours.frame_rates);
        report.detail("peer_frames_per_second", peers.map(|peers| &peers.frame_rates));
    }

    async fn open(
        &self,
        address: SocketAddr,
        handshake: &[u8],
        messages: &[String],
        counter: &Rc<FrameCounter>,
        tasks: &mut JoinSet<Result<()>>,
    ) -> Result<()> {
        for _ in 0..self.sockets {
            let socket = sockets::open(address, handshake, messages).await?;
            tasks.spawn_local(sockets::follow(socket, counter.clone()));
        }
        let end = Instant::now() + Duration::from_secs(20);
        while counter.profiles() < self.sockets {
            ensure!(
                Instant::now() < end,
                "{} of {} sockets got no state",
                self.sockets - counter.profiles(),
                self.sockets
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn start_peer(&self, environment: &RunEnvironment, bytes: f64) -> Result<Option<Process>> {
        if !Path::new(&self.peer).join("node_modules/ws").exists() {
            let install = format!("npm ci --prefix {}", self.peer.display());
            environment.progress.step(format!("fanout: no npm ws to compare with; run `{install}` to install it"));
            return Ok(None);
        }
        let mut command = Command::new("node");
        command.arg(self.peer.join("server.mjs")).arg(format!("{bytes:.0}"));
        Process::start(&mut command).map(Some)
    }
}

/// Resets the counter, and returns the start time of a turn.
fn begin(counter: &FrameCounter) -> Instant {
    counter.take();
    Instant::now()
}

/// Waits until no more frames arrive.
async fn settle(counter: &FrameCounter) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if counter.take().frames == 0 {
            return;
        }
    }
}

async fn steer(peer: &Process, path: &str) -> Result<()> {
    let mut connection = Connection::open(peer.listen).await?;
    connection.exchange(&http::get(path, "none")).await?.success()?;
    Ok(())
}

/// Makes requests that each change one citizen a little, with increasing event times.
struct ChangeRequests {
    feeds: Rc<Feeds>,
    token: String,
    /// The time of the first event, in microseconds since the Unix epoch.
    start: i64,
    made: Cell<u64>,
}

impl ChangeRequests {
    /// Makes more requests than the server can acknowledge in this many seconds.
    fn take(&self, seconds: f64) -> Rc<RequestList> {
        const PER_SECOND: f64 = 5_000.0;
        const APART_MICROS: i64 = 1_000;
        let from = self.made.get();
        let count = (seconds * PER_SECOND) as u64;
        self.made.set(from + count);
        let render = |number: u64| {
            let event = self.feeds.people().update_at(0, number, self.start + number as i64 * APART_MICROS);
            http::post_event(event.source, &event.json, &self.token)
        };
        Rc::new(RequestList::new((from..from + count).map(render).collect()))
    }
}
