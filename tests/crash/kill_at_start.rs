//! SIGKILL while the server opens its data, and while it writes a checkpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::feed::{self, EventGenerator, Outcome};
use crate::harness::Harness;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::random::Random;
use crate::{print_line, seeded, verify};

const KILLS: usize = 12;
/// Maximum number of rounds. Each kills once while a checkpoint is written.
const MAX_ROUNDS: usize = 60;

/// Kills servers at random moments of their start.
struct StartKiller {
    random: Random,
    /// Kills come within this time of the start. It follows the machine, so that about half of them come before the
    /// server is ready and hit every step.
    window: Duration,
    /// Number of servers that were killed before they were ready.
    kills: usize,
}

impl StartKiller {
    fn new(random: Random) -> Self {
        Self { random, window: Duration::from_millis(100), kills: 0 }
    }

    fn kill_during_start(&mut self, harness: &Harness) {
        let starting = harness.spawn();
        std::thread::sleep(self.window * self.random.below(100) as u32 / 100);
        let was_ready = starting.kill();
        self.kills += usize::from(!was_ready);
        self.window = if was_ready { self.window * 2 / 3 } else { self.window * 6 / 5 };
    }
}

#[test]
fn a_kill_during_the_very_first_start_leaves_a_directory_that_starts() {
    let mut killer = StartKiller::new(seeded("first_start"));
    while killer.kills < KILLS {
        let harness = Harness::new();
        for _ in 0..=killer.random.below(3) {
            killer.kill_during_start(&harness);
        }
        let server = harness.start();
        let generator = EventGenerator::new(1, 1);
        let mut client = server.client(&verify::feeder(&harness));
        let outcome = feed::post(&mut client, &generator.change(&generator.hot()[0])).expect("an answer");
        assert_eq!(outcome, Outcome::Applied { revision: 1 });
    }
}

#[test]
fn what_was_acknowledged_survives_kills_during_start_and_checkpoint() {
    let mut random = seeded("start_and_checkpoint");
    let mut killer = StartKiller::new(Random(random.next()));
    // Every few events begin a checkpoint, and each takes long: one is nearly always being written.
    let harness = Harness::new()
        .with("journal.retain_bytes", 0)
        .with("checkpoint.interval_s", 1)
        .with("checkpoint.journal_bytes", 1_024)
        .with("checkpoint.users_per_second", 400);
    let token = verify::feeder(&harness);
    let generator = Arc::new(EventGenerator::new(4, 120));
    let mut ledger = Ledger::default();

    let mut in_checkpoint = 0;
    while in_checkpoint < KILLS || killer.kills < KILLS {
        assert!(in_checkpoint < MAX_ROUNDS, "only {} kills came before the server was ready", killer.kills);
        let server = harness.start();
        verify::recovered(&server, &token, &generator, &mut ledger);
        let load = Load::start(&server, &token, &generator, 2, 1, &mut random);
        std::thread::sleep(Duration::from_millis(20 + random.below(300) as u64));
        let killed = Instant::now();
        server.kill();
        in_checkpoint += 1;
        ledger.enter(load.finish(killed));
        for _ in 0..=random.below(3) {
            killer.kill_during_start(&harness);
        }
    }
    assert!(harness.was_checkpointed());
    let server = harness.start();
    verify::recovered(&server, &token, &generator, &mut ledger);
    print_line(&format!("{} kills while starting, {in_checkpoint} in checkpoints: {}", killer.kills, ledger.summary()));
    verify::equals_an_undisturbed_server(&server, &harness, &generator, &ledger, &mut random);
}
