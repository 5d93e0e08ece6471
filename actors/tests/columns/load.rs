//! Columns under load.

use std::time::Duration;

use crate::events::Events;
use crate::live_state::{LiveState, Random, run};

const USERS: usize = 300;
/// Users who are erased after each round. Some of them return when they get events again.
const ERASED: usize = 6;

#[test]
fn columns_equal_a_rescan_whenever_everything_is_acknowledged() {
    for seed in 1..=2 {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut events, mut random) = (Events::new(USERS), Random(seed));
        run(async {
            let live = LiveState::start(dir.path(), Duration::from_millis(20));
            live.wait_until_ready();
            let (mut living, mut erased, mut returned) = (0, 0, 0);
            for round in 0..16 {
                let gone: Vec<usize> = (0..USERS).filter(|user| events.has_ended(*user)).collect();
                live.submit(events.of_some(&mut random, 150)).await;
                returned += gone.iter().filter(|user| !events.has_ended(**user)).count();
                for _ in 0..5 {
                    live.profiles.passivate(events.user(random.below(USERS as u64) as usize)).await;
                }
                living = live.assert_equal_to_a_rescan(&format!("seed {seed}, round {round}"));
                for _ in 0..ERASED {
                    let user = random.below(USERS as u64) as usize;
                    erased += usize::from(live.erase(&mut events, user, random.below(3) == 0).await);
                }
                living = living.min(live.assert_equal_to_a_rescan(&format!("seed {seed}, round {round}, erased")));
            }
            assert!(living > USERS / 2, "{living} users");
            assert!(erased > ERASED * 4 && returned > ERASED, "{erased} were erased, and {returned} returned");
            let counters = live.profiles.observe().await;
            assert!(counters.live_actors + counters.warm_users < living, "some users are cold");
            live.stop().await;
        });
    }
}

#[test]
fn columns_of_users_at_rest_equal_a_rescan_while_others_change_leave_and_return() {
    const HALF: usize = USERS / 2;
    let dir = tempfile::tempdir().expect("a directory");
    let (mut events, mut random) = (Events::new(USERS), Random(5));
    run(async {
        let live = LiveState::start(dir.path(), Duration::from_millis(20));
        live.wait_until_ready();
        // Whose row is whose is known from the order in which the halves begin.
        live.submit((0..HALF).flat_map(|user| events.of_user(user)).collect()).await;
        let first = live.rescan().assert_equal("the first half", |_| true).rows;
        live.submit((HALF..USERS).flat_map(|user| events.of_user(user)).collect()).await;
        let (mut compared, mut submitted, mut erased) = (0, 0, 0);
        for round in 0..12 {
            let is_first_busy = round % 2 == 0;
            let start = if is_first_busy { 0 } else { HALF };
            let (rescan, first) = (live.rescan(), first.clone());
            let compare = actix_rt::task::spawn_blocking(move || {
                rescan.assert_equal(&format!("round {round}"), |row| first.contains(&row) != is_first_busy)
            });
            while !compare.is_finished() {
                let users: Vec<usize> = (0..20).map(|_| start + random.below(HALF as u64) as usize).collect();
                let batch: Vec<_> = users.iter().flat_map(|user| events.of_user(*user)).collect();
                submitted += batch.len();
                live.submit(batch).await;
                erased += usize::from(live.erase(&mut events, users[0], random.below(4) == 0).await);
            }
            let counted = compare.await.expect("no panic");
            assert_eq!(counted.rows.len(), HALF, "round {round}");
            compared += counted.living + counted.erased;
            live.assert_equal_to_a_rescan(&format!("round {round}, at rest"));
        }
        assert!(compared == 12 * HALF && submitted > 12 * 20 && erased > 12, "{compared}, {submitted}, {erased}");
        live.stop().await;
    });
}
