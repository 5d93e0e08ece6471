//! Others' requests beside one user who keeps the server busy.

use super::Bench;
use super::feeding::{self, ALL_FEEDS};
use crate::attack::fat::{Accepted, BatchSize, give_batch};
use crate::attack::feeder::{self, Fed};
use crate::attack::probe::{Answers, Plan, on_thread, probe};
use crate::attack::{burst, sockets};
use crate::http;
use crate::population::{Feeds, population};
use crate::report::Outcome;
use crate::server::Server;
use crate::wall_clock;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The settings.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Neighbours {
    /// Settings of the server, over its defaults.
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

/// What the large user does meanwhile.
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

/// The large user. The population's users are the others.
const LARGE: &str = "usr_Attacker0000";
/// How long the attack has before others are measured.
const LEAD: Duration = Duration::from_millis(300);

/// What came of a phase.
struct Measured {
    /// POST of an event, the GET after it, and the GET that a cache can answer.
    others: [Answers; 3],
    fed: Fed,
    /// Why streams and sockets of the large user ended early.
    ended: Vec<String>,
}

impl Neighbours {
    pub(super) async fn run(&self, bench: &Bench, outcome: &mut Outcome) -> Result<()> {
        let mut sizes = self.batches.clone();
        for phase in PHASES {
            bench.progress.step(format!("neighbours: {}", phase.name));
            let server = Server::start(&bench.server, &bench.scratch, &self.server)?;
            let token = server.token("svc:loadtest", "service", ALL_FEEDS)?;
            let others = Rc::new(Feeds::new(self.others, self.others));
            feeding::make_known(server.listen(), &token, others).await?;
            let large = give_batch(server.listen(), &token, LARGE, &sizes).await?;
            if phase.name == PHASES[0].name {
                outcome.figure(format!("large user: {}", large.size.name()), large.bytes as f64, "B");
            }
            // The other phases need not try what was refused.
            sizes = vec![large.size];
            let measured = self.measure(phase, &server, &token, large).await?;
            self.report(phase, &measured, outcome);
            // The server may still be busy with the attack, so it is not asked to stop.
        }
        outcome.detail("settings", self);
        Ok(())
    }

    async fn measure(
        &self,
        phase: Phase,
        server: &Server,
        token: &str,
        large: Accepted<BatchSize>,
    ) -> Result<Measured> {
        let address = server.listen();
        let (length, timeout) = (Duration::from_secs_f64(self.phase_s), Duration::from_secs_f64(self.timeout_s));
        let own = server.token(LARGE, "self", "")?;
        let reader = server.token("svc:dashboard", "service", "profile:read")?;
        let (mut streams, mut sockets) = (JoinSet::new(), JoinSet::new());
        for _ in 0..if phase.fed { self.streams } else { 0 } {
            let (token, lines) = (token.to_owned(), burst::statuses(LARGE.to_owned(), large.size.schemes, u64::MAX));
            // Longer than the others are measured, so that the attack does not end before.
            let length = LEAD + length;
            streams.spawn_local(async move { feeder::feed(address, "schemes", &token, lines, length, timeout).await });
        }
        for _ in 0..if phase.asked { self.sockets } else { 0 } {
            let (own, subscribes) = (own.clone(), self.subscribes);
            sockets.spawn_local(async move { sockets::subscribe_unread(address, LARGE, subscribes, &own).await });
        }
        tokio::time::sleep(LEAD).await;
        let plan = Plan { address, rate: self.post_rate, length, connections: self.connections, timeout };
        let (users, token, get_rate) = (self.others, token.to_owned(), self.get_rate);
        let others = on_thread(move || async move { ask(plan, get_rate, users, token, reader).await });
        let others = others.await?;
        let (mut fed, mut ended) = (Fed::default(), Vec::new());
        while let Some(stream) = streams.join_next().await {
            match stream.context("a stream's task died")? {
                Ok(stream) => fed += stream,
                Err(error) => ended.push(format!("{error:#}")),
            }
        }
        while let Some(socket) = sockets.try_join_next() {
            if let Err(error) = socket.context("a socket's task died")? {
                ended.push(format!("{error:#}"));
            }
        }
        Ok(Measured { others, fed, ended })
    }

    fn report(&self, phase: Phase, measured: &Measured, outcome: &mut Outcome) {
        let attack = phase.fed || phase.asked;
        let goal = attack.then_some(self.goal_p99_ms);
        let name = phase.name;
        for (answers, what) in measured.others.iter().zip(["POST", "GET after a POST", "GET, cached"]) {
            answers.report(&format!("{name}: {what}"), goal, outcome);
            outcome.detail(&format!("{name}: {what}"), answers.detail());
        }
        if phase.fed {
            outcome.figure(format!("{name}: events of the large user"), measured.fed.sent as f64, "");
            // Streams that the server falls behind with end without a total.
            outcome.figure("  streams whose total came", measured.fed.totals as f64, "");
            if measured.fed.totals > 0 {
                outcome.figure("  acknowledged", measured.fed.tally.acknowledged() as f64, "");
                outcome.figure("  busy", measured.fed.tally.busy as f64, "");
            }
        }
        if attack {
            let what = format!("{name}: streams and sockets that the server ended");
            outcome.figure(what, measured.ended.len() as f64, "");
        }
        outcome.detail(&format!("{name}: fed"), measured.fed);
        outcome.detail(&format!("{name}: ended"), &measured.ended);
    }
}

/// Sends what the others send, of the three kinds.
async fn ask(plan: Plan, get_rate: f64, users: u64, token: String, reader: String) -> Result<[Answers; 3]> {
    let people = population(users);
    let get = move |user: u64| http::get(&format!("/api/v2/profile/{}", people.user_id(user)), &reader);
    let get = Rc::new(get);
    // One half of the users changes, the other does not.
    let changing = (users / 2).max(1);
    let (after, people) = (get.clone(), population(users));
    let changes = probe(plan, move |number| {
        let user = number % changing;
        let event = people.update_at(user, number / changing, wall_clock::now_micros());
        [http::post_event(event.source, &event.json, &token), after(user)]
    });
    let unchanged =
        probe(Plan { rate: get_rate, ..plan }, move |number| [get(changing + number % (users - changing).max(1))]);
    let ([post, after], [cached]) = tokio::try_join!(changes, unchanged)?;
    Ok([post, after, cached])
}
