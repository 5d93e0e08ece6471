//! SIGKILL at any moment: the columns of the next start equal a rescan.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::events::Events;
use crate::live_state::{LiveState, Random, run};

const DIRECTORY: &str = "COLUMNS_TEST_KILL_DIRECTORY";
const SEED: &str = "COLUMNS_TEST_KILL_SEED";
const USERS: usize = 120;
const ROUNDS: u64 = 12;

/// Is the process that is killed, and not a test by itself. It submits events and erases users until then, from the start on.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let (Some(dir), Ok(seed)) = (std::env::var_os(DIRECTORY), std::env::var(SEED)) else { return };
    let seed = seed.parse().expect("a number");
    let (mut events, mut random) = (Events::of_process(USERS, seed), Random(seed));
    run(async {
        let live = LiveState::start(Path::new(&dir), Duration::from_millis(15));
        loop {
            live.submit(events.of_some(&mut random, 20)).await;
            // Erased by this process, or by one before it: acknowledged, so the row is empty whatever comes.
            let user = random.below(USERS as u64) as usize;
            live.erase(&mut events, user, random.below(4) == 0).await;
        }
    });
}

#[test]
fn columns_after_a_kill_equal_a_rescan() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = Random(3);
    let (mut restored, mut living, mut erased) = (0, 0, 0);
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
        run(async {
            let live = LiveState::start(dir.path(), Duration::from_secs(3600));
            live.wait_until_ready();
            restored += usize::from(live.has_saved);
            let compared = live.rescan().assert_equal(&format!("round {round}"), |_| true);
            (living, erased) = (compared.living, erased + compared.erased);
            // Some rounds end with a kill, as the store is not closed.
            if round % 3 == 0 {
                live.stop().await;
            } else {
                live.profiles.stop().await;
            }
        });
    }
    assert!(living > USERS / 4 && restored > 0, "{living} users, and {restored} starts from saved columns");
    assert!(erased > ROUNDS as usize, "{erased} erased users were compared");
}
