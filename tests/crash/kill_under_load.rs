//! SIGKILL while events come in over several connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::feed::Mint;
use crate::harness::Place;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::{say, seeded, verify};

const KILLS: usize = 30;

#[test]
fn what_was_acknowledged_survives_a_kill_under_load() {
    let mut random = seeded("kill_under_load");
    // The kills meet checkpoints, too, and segments that go.
    let place = Place::new()
        .with("journal.retain_bytes", 0)
        .with("checkpoint.interval_s", 1)
        .with("checkpoint.journal_bytes", 200_000);
    let token = verify::feeder(&place);
    let mint = Arc::new(Mint::new(8, 150));
    let mut ledger = Ledger::default();

    for _ in 0..KILLS {
        let server = place.start();
        verify::recovered(&server, &token, &mint, &mut ledger);
        let load = Load::start(&server, &token, &mint, 4, 2, &mut random);
        std::thread::sleep(Duration::from_millis(30 + random.below(500) as u64));
        let killed = Instant::now();
        server.kill();
        ledger.enter(load.finish(killed));
    }
    assert!(place.was_checkpointed());
    let server = place.start();
    verify::recovered(&server, &token, &mint, &mut ledger);
    say(&format!("{KILLS} kills under load: {}", ledger.summary()));
    verify::equals_one_that_never_died(&server, &place, &mint, &ledger, &mut random);
}
