//! Columns under load.

use std::time::Duration;

use crate::live_state::{Events, LiveState, Random, run};

const USERS: usize = 300;

#[test]
fn columns_equal_a_rescan_whenever_everything_is_acknowledged() {
    for seed in 1..=2 {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut events, mut random) = (Events::new(USERS), Random(seed));
        run(async {
            let live = LiveState::start(dir.path(), Duration::from_millis(20));
            live.wait_until_ready();
            let mut users = 0;
            for round in 0..12 {
                live.submit(events.of_some(&mut random, 150)).await;
                for _ in 0..5 {
                    live.profiles.passivate(events.user(random.below(USERS as u64) as usize)).await;
                }
                users = live.assert_equal_to_a_rescan(&format!("seed {seed}, round {round}"));
            }
            assert!(users > USERS / 2, "{users} users");
            let counters = live.profiles.observe().await;
            assert!(counters.live_actors + counters.warm_users < users, "some users are cold");
            live.stop().await;
        });
    }
}
