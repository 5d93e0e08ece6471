//! Filling the columns while commits go on.

use std::time::Duration;

use crate::events::Events;
use crate::live_state::{LiveState, Random, run};

const USERS: usize = 2_000;

#[test]
fn commits_during_a_fill_are_neither_lost_nor_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut events, mut random) = (Events::new(USERS), Random(1));
    run(async {
        let live = LiveState::start(dir.path(), Duration::from_secs(3600));
        live.submit((0..USERS).flat_map(|number| events.of_user(number)).collect()).await;
        live.wait_until_ready();
        live.stop().await;
    });
    let mut filled_meanwhile = 0;
    for round in 0..6 {
        let has_file = round % 2 == 0;
        if !has_file {
            std::fs::remove_file(dir.path().join("columns")).expect("the saved columns");
        }
        run(async {
            let live = LiveState::start(dir.path(), Duration::from_millis(20));
            assert_eq!(live.has_saved, has_file, "round {round}");
            loop {
                live.submit(events.of_some(&mut random, 40)).await;
                if live.profiles.columns().is_ready() {
                    break;
                }
                filled_meanwhile += 1;
            }
            live.assert_equal_to_a_rescan(&format!("round {round}"));
            live.submit(events.of_some(&mut random, 40)).await;
            assert_eq!(live.assert_equal_to_a_rescan(&format!("round {round}, later")), USERS);
            live.stop().await;
        });
    }
    assert!(filled_meanwhile > 0, "no event was acknowledged while the columns were filled");
}
