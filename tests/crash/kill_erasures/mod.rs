//! SIGKILL while people are erased, while erasures are scheduled and undone, and while people register anew. Half of the kills
//! come at a chosen step of one person's erasure, so that each step is cut off ([`target`]). The others come while several
//! people do what they like, at random moments or at a random write or sync of the server.

mod person;
mod progress;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::person::{Api, Person};
use self::progress::recorded_commitments;
use self::target::Targets;
use crate::client::Client;
use crate::disk::Disk;
use crate::feed::EventGenerator;
use crate::harness::{Harness, Server};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::random::Random;
use crate::{print_line, rounds, seeded, verify};

/// Connections that erase, and people of each.
const ERASERS: usize = 2;
const PEOPLE: usize = 4;
/// Rounds unless `CRASH_ROUNDS` says otherwise.
const ROUNDS: usize = 24;
/// Rounds that are added at most until the server was killed at each step.
const SPARE_ROUNDS: usize = 24;
/// How long a server that its disk is to kill is waited for.
const PATIENCE: Duration = Duration::from_millis(800);

/// The tokens of a round.
struct Tokens {
    admin: String,
    feeder: String,
}

impl Tokens {
    fn new(harness: &Harness) -> Self {
        Self { admin: harness.fresh_token("adm:eraser", "admin", "profile:read"), feeder: verify::feeder(harness) }
    }

    fn api(&self, server: &Server) -> Api {
        Api { admin: server.client(&self.admin), feeder: server.client(&self.feeder) }
    }
}

/// Starts the server, which may be killed some times before it is ready.
fn start(harness: &Harness, disk: &Disk, random: &mut Random) -> Server {
    while random.one_in(3) {
        disk.kill_at(1 + random.below(60) as u64);
        let started = harness.spawn().ready();
        disk.kill_at(0);
        match started {
            Ok(server) => return server,
            Err(status) => {
                assert!(status.is_some_and(|status| status.code().is_none()), "killed, and not ended: {status:?}")
            }
        }
    }
    harness.start()
}

/// Returns the number of erasures that have begun and are not finished.
fn unfinished(server: &Server) -> f64 {
    let mut client = Client::connect(server.admin_listen, "").expect("the server takes connections");
    let metrics = client.get("/metrics").expect("an answer");
    let name = "profile_erasures_waiting{state=\"unfinished\"} ";
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)).expect("the metric");
    line.parse().expect("a number")
}

/// Checks that the audit log has one entry for each life that ended, which is that of the receipt.
fn check_entries(harness: &Harness, people: &[Vec<Person>]) {
    let mut recorded = recorded_commitments(&harness.data_dir());
    let receipts = people.iter().flatten().flat_map(Person::receipts);
    let expected: BTreeSet<String> =
        receipts.map(|receipt| receipt["commitment"].as_str().expect("text").to_owned()).collect();
    assert!(!expected.is_empty(), "no life has ended");
    recorded.sort_unstable();
    assert_eq!(recorded, expected.into_iter().collect::<Vec<_>>(), "one entry for each life that ended");
}

#[test]
fn erasures_and_their_undoing_hold_over_kills_at_any_step() {
    let rounds = rounds(ROUNDS);
    let mut random = seeded("kill_erasures");
    let settings = Harness::new()
        .with("journal.retain_bytes", 0)
        .with("checkpoint.interval_s", 1)
        .with("checkpoint.journal_bytes", 200_000);
    let (disk, harness) = Disk::under(settings);
    let (generator, mut ledger) = (Arc::new(EventGenerator::new(2, 20)), Ledger::default());
    let person = |number| Person::new(format!("usr_erasable{number:04}"));
    let mut people: Vec<Vec<Person>> =
        (0..ERASERS).map(|eraser| (0..PEOPLE).map(|number| person(eraser * PEOPLE + number)).collect()).collect();
    {
        let server = harness.start();
        let mut api = Tokens::new(&harness).api(&server);
        people.iter_mut().flatten().for_each(|person| person.begin(&mut api));
    }
    let (mut by_disk, mut targets) = (0, Targets::default());
    for round in 0.. {
        let server = start(&harness, &disk, &mut random);
        let tokens = Tokens::new(&harness);
        assert_eq!(unfinished(&server), 0.0, "round {round}: an erasure that had begun is finished at the start");
        let mut api = tokens.api(&server);
        people.iter_mut().flatten().for_each(|person| person.settle(&mut api));
        verify::recovered(&server, &tokens.feeder, &generator, &mut ledger);
        if round >= rounds && (targets.are_met() || round >= rounds + SPARE_ROUNDS) {
            break;
        }
        if round % 2 == 0 || round >= rounds {
            let receipts = people.iter().flatten().flat_map(Person::receipts).count();
            targets.kill((&harness, &disk, server), &mut api, &mut people[0][0], receipts);
            continue;
        }
        // Without other events, most of the writes and syncs are those of erasures.
        let load = random.one_in(2).then(|| Load::start(&server, &tokens.feeder, &generator, 1, 1, &mut random));
        let begun = Instant::now();
        thread::scope(|scope| {
            if random.one_in(4) {
                disk.kill_at(0);
            } else {
                disk.kill_at(1 + random.below(if load.is_some() { 400 } else { 120 }) as u64);
            }
            for people in &mut people {
                let (mut api, mut random) = (tokens.api(&server), Random(random.next()));
                scope.spawn(move || {
                    // Until the connection breaks.
                    while person::pick(people, &mut random).act(&mut api, &mut random).is_ok() {}
                });
            }
            let wait = Duration::from_millis(50 + random.below(400) as u64);
            by_disk += usize::from(server.wait_until_killed(PATIENCE.min(wait * 2)));
        });
        disk.kill_at(0);
        if let Some(load) = load {
            ledger.enter(load.finish(begun));
        }
    }
    let sum = |count: fn(&Person) -> usize| people.iter().flatten().map(count).sum::<usize>();
    let (ended, begun) = (sum(|person| person.receipts().count()), sum(Person::new_lives));
    let undone = sum(|person| person.undone);
    print_line(&format!(
        "{}; {by_disk} kills at a random write or sync: {ended} lives ended, {begun} began anew, {undone} erasures undone; {}",
        targets.summary(),
        ledger.summary()
    ));
    assert!(targets.are_met(), "the server was killed at each step: {}", targets.summary());
    assert!(ended > 0 && begun > 0 && undone > 0, "{ended} lives ended, {begun} began anew, {undone} erasures undone");
    check_entries(&harness, &people);
    people.iter().flatten().for_each(|person| person.verify_receipts(&harness));
    harness.verify_audit();
    harness.verify("verify-store");
}
