//! The saved columns.

use std::fs;
use std::time::Duration;

use crate::events::Events;
use crate::live_state::{LiveState, Random, run};

const USERS: usize = 200;
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn saved_columns_are_used_only_if_they_are_whole_and_of_the_last_checkpoint() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("columns");
    let (mut events, mut random) = (Events::new(USERS), Random(7));
    run(async {
        let live = LiveState::start(dir.path(), NEVER);
        assert!(!live.has_saved);
        live.submit(events.of_some(&mut random, USERS)).await;
        live.wait_until_ready();
        live.stop().await;
    });
    let older = fs::read(&file).expect("the saved columns");
    run(async {
        let live = LiveState::start(dir.path(), NEVER);
        assert!(live.has_saved, "a clean stop saves them");
        live.wait_until_ready();
        live.assert_equal_to_a_rescan("from saved columns");
        live.submit(events.of_some(&mut random, USERS)).await;
        live.stop().await;
    });
    let newer = fs::read(&file).expect("the saved columns");
    assert_ne!(older, newer);
    // A changed byte in the header, in a length, in the first piece and in the last one, and a file that is cut off.
    let changed = [3, 20, 33, 64, 90, newer.len() / 2, newer.len() - 1].map(|at| {
        let mut bytes = newer.clone();
        bytes[at] ^= 0x40;
        bytes
    });
    let bad = changed.into_iter().chain([older, newer[..newer.len() - 1].to_vec(), newer[..40].to_vec(), Vec::new()]);
    for (number, bytes) in bad.enumerate() {
        fs::write(&file, bytes).expect("written");
        run(async {
            let live = LiveState::start(dir.path(), NEVER);
            live.wait_until_ready();
            live.assert_equal_to_a_rescan(&format!("bad file {number}"));
            // Unlike a stop, this saves nothing.
            live.profiles.stop().await;
        });
    }
    fs::write(&file, newer).expect("written");
    run(async {
        let live = LiveState::start(dir.path(), NEVER);
        assert!(live.has_saved, "the whole file of the last checkpoint is used");
        live.stop().await;
    });
}

#[test]
fn resealed_columns_open_under_the_new_key_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("columns");
    let (mut events, mut random) = (Events::new(USERS), Random(9));
    run(async {
        let live = LiveState::start(dir.path(), NEVER);
        live.submit(events.of_some(&mut random, USERS)).await;
        live.wait_until_ready();
        live.closer.checkpoint().expect("a checkpoint");
        let before = fs::read(&file).expect("the saved columns");
        live.closer.reseal_projection().expect("resealed");
        let after = fs::read(&file).expect("saved anew");
        assert_ne!(before, after);
        live.stop().await;
        fs::write(&file, before).expect("written");
        let live = LiveState::start(dir.path(), NEVER);
        assert!(!live.has_saved, "the key was destroyed");
        live.wait_until_ready();
        live.assert_equal_to_a_rescan("after the key was destroyed");
        live.profiles.stop().await;
        drop(live.closer);
        fs::write(&file, after).expect("written");
    });
    run(async {
        let live = LiveState::start(dir.path(), NEVER);
        assert!(live.has_saved, "the columns under the new key open");
        live.stop().await;
    });
}
