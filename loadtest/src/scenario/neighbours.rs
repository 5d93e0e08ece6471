//! Requests of other callers while one user keeps the server busy.

use super::RunEnvironment;
use super::feeding::{self, ALL_FEEDS};
use crate::attack::feeder::{self, BurstResult};
use crate::attack::large_user::{Accepted, BatchSize, give_batch};
use crate::attack::probe::{ProbePlan, ProbeStats, on_thread, probe};
use crate::attack::{burst, sockets};
use crate::http;
use crate::population::{Feeds, population};
use crate::report::ScenarioReport;
use crate::server::Server;
use crate::wall_clock;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The settings of the scenario file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NeighboursScenario {
    /// Settings of the server that override its defaults.
    #[serde(default)]
    pub(super) server: toml::Table,
    others: u64,
    post_rate: f64,
    get_rate: f64,
    connections: usize,
    phase_s: f64,
    timeout_s: f64,
    streams: usize,
    sockets: usize,
    subscribes: usize,
    batches: Vec<BatchSize>,
    goal_p99_ms: f64,
}

/// The attack during a phase.
#[derive(Debug, Clone, Copy)]
struct Phase {
    name: &'static str,
    fed: bool,
    asked: bool,
}

const PHASES: [Phase; 4] = [
    Phase { name: "idle", fed: false, asked: false },
    Phase { name: "fed", fed: true, asked: false },
    Phase { name: "asked", fed: false, asked: true },
    Phase { name: "both", fed: true, asked: true },
];

/// User id of the attacker, who has large lists. The population's users are the others.
const LARGE: &str = "usr_Attacker0000";
/// How long the attack runs before the others are measured.
const LEAD: Duration = Duration::from_millis(300);

/// The measurements of a phase.
struct PhaseResult {
    /// The POST of an event, the GET after it, and a GET that the cache can answer.
    others: [ProbeStats; 3],
    fed: BurstResult,
    /// Errors of the attacker's streams and sockets that ended early.
    ended: Vec<String>,
}

impl NeighboursScenario {
    pub(super) async fn run(&self, environment: &RunEnvironment, report: &mut ScenarioReport) -> Result<()> {
        let mut sizes = self.batches.clone();
        for phase in PHASES {
            environment.progress.step(format!("neighbours: {}", phase.name));
            let server = Server::start(&environment.server, &environment.scratch, &self.server)?;
            let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
            let others = Rc::new(Feeds::new(self.others, self.others));
            feeding::load_users(server.listen(), &token, others).await?;
            let large = give_batch(server.listen(), &token, LARGE, &sizes).await?;
            if phase.name == PHASES[0].name {
                report.figure(format!("large user: {}", large.size.name()), large.bytes as f64, "B");
            }
            // The later phases start with the size that was accepted.
            sizes = vec![large.size];
            let measured = self.measure(phase, &server, &token, large).await?;
            self.report(phase, &measured, report);
            // The server may still be busy with the attack, so it is killed instead of stopped.
        }
        report.detail("settings", self);
        Ok(())
    }

    async fn measure(
        &self,
        phase: Phase,
        server: &Server,
        token: &str,
        large: Accepted<BatchSize>,
    ) -> Result<PhaseResult> {
        let address = server.listen();
        let (length, timeout) = (Duration::from_secs_f64(self.phase_s), Duration::from_secs_f64(self.timeout_s));
        let own = server.token(LARGE, "self", "")?;
        let reader = server.token("svc:dashboard", "service", "profile:read")?;
        let (mut streams, mut sockets) = (JoinSet::new(), JoinSet::new());
        for _ in 0..if phase.fed { self.streams } else { 0 } {
            let (token, lines) = (token.to_owned(), burst::statuses(LARGE.to_owned(), large.size.schemes, u64::MAX));
            // The attack must not end before the measurement.
            let length = LEAD + length;
            streams.spawn_local(async move { feeder::feed(address, "schemes", &token, lines, length, timeout).await });
        }
        for _ in 0..if phase.asked { self.sockets } else { 0 } {
            let (own, subscribes) = (own.clone(), self.subscribes);
            sockets.spawn_local(async move { sockets::subscribe_unread(address, LARGE, subscribes, &own).await });
        }
        tokio::time::sleep(LEAD).await;
        let plan = ProbePlan { address, rate: self.post_rate, length, connections: self.connections, timeout };
        let (users, token, get_rate) = (self.others, token.to_owned(), self.get_rate);
        let others = on_thread(move || async move { send_requests(plan, get_rate, users, token, reader).await });
        let others = others.await?;
        let (mut fed, mut ended) = (BurstResult::default(), Vec::new());
        while let Some(stream) = streams.join_next().await {
            match stream.context("a stream's task panicked")? {
                Ok(stream) => fed += stream,
                Err(error) => ended.push(format!("{error:#}")),
            }
        }
        while let Some(socket) = sockets.try_join_next() {
            if let Err(error) = socket.context("a socket's task panicked")? {
                ended.push(format!("{error:#}"));
            }
        }
        Ok(PhaseResult { others, fed, ended })
    }

    fn report(&self, phase: Phase, measured: &PhaseResult, report: &mut ScenarioReport) {
        let attack = phase.fed || phase.asked;
        let goal = attack.then_some(self.goal_p99_ms);
        let name = phase.name;
        for (answers, what) in measured.others.iter().zip(["POST", "GET after a POST", "GET, cached"]) {
            answers.report(&format!("{name}: {what}"), goal, report);
            report.detail(&format!("{name}: {what}"), answers.detail());
        }
        if phase.fed {
            report.figure(format!("{name}: events of the large user"), measured.fed.sent as f64, "");
            // A stream that the server did not finish in time has no total.
            report.figure("  streams whose total came", measured.fed.totals as f64, "");
            if measured.fed.totals > 0 {
                report.figure("  acknowledged", measured.fed.tally.acknowledged() as f64, "");
                report.figure("  busy", measured.fed.tally.busy as f64, "");
            }
        }
        if attack {
            let what = format!("{name}: streams and sockets that the server ended");
            report.figure(what, measured.ended.len() as f64, "");
        }
        report.detail(&format!("{name}: fed"), measured.fed);
        report.detail(&format!("{name}: ended"), &measured.ended);
    }
}

/// Sends the three kinds of requests of the others.
async fn send_requests(
    plan: ProbePlan,
    get_rate: f64,
    users: u64,
    token: String,
    reader: String,
) -> Result<[ProbeStats; 3]> {
    let people = population(users);
    let get = move |user: u64| http::get(&format!("/api/v2/profile/{}", people.user_id(user)), &reader);
    let get = Rc::new(get);
    // The first half of the users is changed, the second is only read.
    let changing = (users / 2).max(1);
    let (after, people) = (get.clone(), population(users));
    let changes = probe(plan, move |number| {
        let user = number % changing;
        let event = people.update_at(user, number / changing, wall_clock::now_micros());
        [http::post_event(event.source, &event.json, &token), after(user)]
    });
    let unchanged =
        probe(ProbePlan { rate: get_rate, ..plan }, move |number| [get(changing + number % (users - changing).max(1))]);
    let ([post, after], [cached]) = tokio::try_join!(changes, unchanged)?;
    Ok([post, after, cached])
}
