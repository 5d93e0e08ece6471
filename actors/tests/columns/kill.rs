//! SIGKILL at any moment: the columns of the next start equal a rescan.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::live_state::{Events, LiveState, Random, run};

const DIRECTORY: &str = "COLUMNS_TEST_KILL_DIRECTORY";
const SEED: &str = "COLUMNS_TEST_KILL_SEED";
const USERS: usize = 120;
const ROUNDS: u64 = 12;

/// Is the process that is killed, and not a test by itself. It submits events until then, from the start on.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let (Some(dir), Ok(seed)) = (std::env::var_os(DIRECTORY), std::env::var(SEED)) else { return };
    let (mut events, mut random) = (Events::new(USERS), Random(seed.parse().expect("a number")));
    run(async {
        let live = LiveState::start(Path::new(&dir), Duration::from_millis(15));
        loop {
            live.submit(events.of_some(&mut random, 20)).await;
        }
    });
}

#[test]
fn columns_after_a_kill_equal_a_rescan() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = Random(3);
    let (mut restored, mut users) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "kill::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .env(SEED, round.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        std::thread::sleep(Duration::from_millis(200 + random.below(500)));
        let early = child.try_wait().expect("a status");
        assert!(early.is_none(), "round {round}: the child ended by itself: {early:?}");
        child.kill().expect("killed");
        child.wait().expect("ended");
        users = run(async {
            let live = LiveState::start(dir.path(), Duration::from_secs(3600));
            live.wait_until_ready();
            restored += usize::from(live.has_saved);
            let users = live.assert_equal_to_a_rescan(&format!("round {round}"));
            // Some rounds end with a kill, as the store is not closed.
            if round % 3 == 0 {
                live.stop().await;
            } else {
                live.profiles.stop().await;
            }
            users
        });
    }
    assert!(users > USERS / 2 && restored > 0, "{users} users, and {restored} starts from saved columns");
}
