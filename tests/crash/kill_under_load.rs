//! SIGKILL while events come in over several connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::feed::EventGenerator;
use crate::harness::Harness;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::{print_line, seeded, verify};

const KILLS: usize = 30;

#[test]
fn what_was_acknowledged_survives_a_kill_under_load() {
    let mut random = seeded("kill_under_load");
    // Kills also come while checkpoints are written and segments removed.
    let harness = Harness::new()
        .with("journal.retain_bytes", 0)
        .with("checkpoint.interval_s", 1)
        .with("checkpoint.journal_bytes", 200_000);
    let token = verify::feeder(&harness);
    let generator = Arc::new(EventGenerator::new(8, 150));
    let mut ledger = Ledger::default();

    for _ in 0..KILLS {
        let server = harness.start();
        verify::recovered(&server, &token, &generator, &mut ledger);
        let load = Load::start(&server, &token, &generator, 4, 2, &mut random);
        std::thread::sleep(Duration::from_millis(30 + random.below(500) as u64));
        let killed = Instant::now();
        server.kill();
        ledger.enter(load.finish(killed));
    }
    assert!(harness.was_checkpointed());
    let server = harness.start();
    verify::recovered(&server, &token, &generator, &mut ledger);
    print_line(&format!("{KILLS} kills under load: {}", ledger.summary()));
    verify::equals_an_undisturbed_server(&server, &harness, &generator, &ledger, &mut random);
}
