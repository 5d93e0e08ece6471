//! Warm users: how they come, start, and go.

use domain::port::store::StoreError;
use domain::schema_version::SchemaVersion;

use super::fixture::{Fixture, NOON, SERVICE, citizen, income, user};
use super::harness::{Harness, by_hand, run};
use crate::load::HydratedUser;
use crate::outlet::channel;
use crate::request::Request;
use crate::roster::Form;
use crate::runtime::UnpackFault;
use crate::{Busy, Options, ReadError, Status, Subscription};

/// Number of users of the largest test.
const USERS: usize = 200_000;

const BRACKETS: [&str; 2] = ["2.5L-5L", "0-2.5L"];

/// Returns the live state with a warm user 1 at revision 1.
async fn with_warm_user(options: Options) -> Harness {
    let mut harness = Harness::start(Fixture::new(), options);
    harness.apply(income(1, NOON, "0-2.5L")).await;
    assert!(harness.shard.passivate_user(&user(1)));
    assert_eq!(harness.runtime.roster.form(&user(1)), Form::Warm);
    harness
}

/// Returns the results that have arrived.
fn results(harness: &mut Harness) -> Vec<(u64, Status)> {
    std::iter::from_fn(|| harness.results.try_recv().ok()).map(|result| (result.index, result.status)).collect()
}

#[test]
fn a_warm_user_starts_without_the_store_and_without_the_commit_queue() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        let profiles = harness.profiles.clone();
        let read = actix_rt::spawn(async move {
            profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.map(|view| view.revision)
        });
        harness.run_tasks(16).await;
        assert!(read.is_finished(), "neither the commit thread nor a hydration thread has run");
        assert_eq!(read.await.expect("no panic"), Ok(1));
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
    });
}

#[test]
fn the_requests_of_a_user_who_starts_keep_their_order_and_their_limit() {
    run(async {
        let mut harness = with_warm_user(Options { mailbox_capacity: 3, ..by_hand() }).await;
        let first = harness.submit(income(1, NOON + 1, BRACKETS[0]));
        for step in 2..6 {
            harness.submit(income(1, NOON + step, BRACKETS[step as usize % 2]));
        }
        assert_eq!(harness.runtime.roster.form(&user(1)), Form::Starting);
        let refused: Vec<_> = results(&mut harness);
        assert_eq!(refused, [(first + 3, Status::Busy), (first + 4, Status::Busy)]);
        harness.settle().await;
        let order = results(&mut harness);
        assert_eq!(order.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [first, first + 1, first + 2]);
        let last = order.last().map(|(_, status)| *status);
        assert!(matches!(last, Some(Status::Applied { .. } | Status::Unchanged { .. })), "{order:?}");
    });
}

#[test]
fn bytes_that_do_not_unpack_lose_nothing() {
    run(async {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        for fault in [UnpackFault::NotAState, UnpackFault::Panics] {
            let mut harness = with_warm_user(by_hand()).await;
            harness.shard.unpack_fault.set(Some(fault));
            harness.submit(income(1, NOON + 1, "2.5L-5L"));
            harness.submit(income(1, NOON + 2, "5L-10L"));
            harness.run_tasks(8).await;
            assert_eq!(harness.runtime.roster.form(&user(1)), Form::Starting, "it waits for the store");
            assert_eq!(results(&mut harness), []);
            harness.settle().await;
            let statuses: Vec<_> = results(&mut harness).into_iter().map(|(_, status)| status).collect();
            assert_eq!(statuses, [Status::Applied { revision: 2 }, Status::Applied { revision: 3 }], "{fault:?}");
            assert_eq!((harness.fixture.store.refused(), harness.runtime.roster.starting()), (0, 0));
        }
        std::panic::set_hook(report);
    });
}

#[test]
fn bytes_that_do_not_unpack_while_the_system_stops_are_answered_busy() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        harness.shard.unpack_fault.set(Some(UnpackFault::NotAState));
        let index = harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.runtime.services.commits.close();
        harness.run_tasks(8).await;
        assert_eq!(results(&mut harness), [(index, Status::Busy)]);
        assert_eq!(harness.runtime.roster.starting(), 0);
    });
}

#[test]
fn a_user_who_is_not_started_any_more_is_refused() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        let index = harness.submit(income(1, NOON + 1, "2.5L-5L"));
        assert_eq!(harness.runtime.roster.starting(), 1);
        harness.runtime.roster.refuse_waiting();
        assert_eq!(results(&mut harness), [(index, Status::Busy)]);
        assert_eq!(harness.runtime.roster.starting(), 0);
        // The start that was under way finds no entry.
        harness.run_tasks(8).await;
        assert_eq!(harness.runtime.roster.form(&user(1)), Form::Cold);
    });
}

#[test]
fn loads_that_wait_do_not_make_warm_users_busy() {
    run(async {
        let mut harness = with_warm_user(Options { hydration_queue: 1, ..by_hand() }).await;
        harness.submit(income(2, NOON, "0-2.5L"));
        harness.submit(income(3, NOON, "0-2.5L"));
        let busy = results(&mut harness);
        assert_eq!(busy.iter().map(|(_, status)| *status).collect::<Vec<_>>(), [Status::Busy], "one may wait");
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        assert_eq!(results(&mut harness), [], "the warm user has a place of its own");
        harness.settle().await;
        assert_eq!(results(&mut harness).len(), 2);
    });
}

#[test]
fn a_warm_users_head_can_be_copied_and_no_other() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        let packed = |harness: &Harness| harness.runtime.roster.packed(&user(1));
        let first = packed(&harness).expect("it is warm");
        assert_eq!(first.sequence, 1);
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
        assert_eq!((packed(&harness), harness.runtime.roster.packed(&user(2))), (None, None), "live, and cold");
        assert!(harness.shard.passivate_user(&user(1)));
        let second = packed(&harness).expect("it is warm again");
        assert!(second.sequence == 2 && second.bytes != first.bytes);
    });
}

#[test]
fn views_of_the_last_actor_are_served_while_the_user_is_warm_and_after() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        let hit = |view: Result<crate::View, ReadError>| view.expect("known").cache_hit;
        assert!(!hit(harness.view(1, citizen(1)).await));
        assert!(harness.shard.passivate_user(&user(1)));
        assert!(hit(harness.view(1, citizen(1)).await));
        assert_eq!(harness.runtime.roster.form(&user(1)), Form::Warm, "the cached view needs no actor");
        assert!(!hit(harness.view(1, SERVICE).await), "another class");
        assert!(hit(harness.view(1, citizen(1)).await), "the new actor took over the head cell of the views");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        assert!(!hit(harness.view(1, citizen(1)).await), "another revision");
    });
}

#[test]
fn a_user_whom_somebody_follows_stays_live() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { hot_actors_per_shard: 1, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (outlet, _frames) = channel(8);
        let subscription = Subscription {
            id: 1,
            viewer: citizen(1),
            fields: None,
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: None,
            followed_before: false,
            outlet,
        };
        let profiles = harness.profiles.clone();
        harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await.expect("known");
        for number in 2..5 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
        }
        let forms = (1..5).map(|number| harness.runtime.roster.form(&user(number))).collect::<Vec<_>>();
        assert_eq!(forms, [Form::Live, Form::Warm, Form::Warm, Form::Live]);
        let profiles = harness.profiles.clone();
        let counters = harness.ask(async move { profiles.observe_user(user(1)).await }).await.expect("live");
        assert_eq!(counters.outlets, 1);
    });
}

#[test]
fn an_actor_without_a_head_becomes_cold() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.set_fate(super::ram_store::Fate::NotTaken);
        assert_eq!(harness.apply(income(1, NOON, "0-2.5L")).await, Status::Busy);
        assert!(harness.shard.passivate_user(&user(1)));
        assert_eq!(harness.runtime.roster.form(&user(1)), Form::Cold);
    });
}

#[test]
fn without_a_warm_tier_users_become_cold() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { warm_bytes: 0, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        assert!(harness.shard.passivate_user(&user(1)));
        assert_eq!(harness.runtime.roster.form(&user(1)), Form::Cold);
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
    });
}

#[test]
fn an_unavailable_store_refuses_a_start_that_needs_it_after_all() {
    run(async {
        let mut harness = with_warm_user(by_hand()).await;
        harness.shard.unpack_fault.set(Some(UnpackFault::NotAState));
        let profiles = harness.profiles.clone();
        let read =
            actix_rt::spawn(async move { profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.err() });
        harness.run_tasks(8).await;
        let unavailable = StoreError::Unavailable { doing: "reading", source: "the test says so".into() };
        let hydrated = HydratedUser { user: user(1), head: Err(unavailable), newest_of_damaged: None };
        let event = crate::shard_event::ShardEvent::UsersHydrated(vec![hydrated]);
        harness.shard.handle(event, &mut crate::turn::Turn::default()).await;
        harness.run_tasks(8).await;
        assert_eq!(read.await.expect("no panic"), Some(ReadError::Unavailable));
        assert!(harness.runtime.dispatch(user(1), Request::PruneOutlets).map_err(|_| Busy).is_ok());
        harness.settle().await;
    });
}

/// Submits one event of each user, some at a time, and checks the bound of the warm users after each group.
async fn merge_all(harness: &mut Harness, users: &[usize], time: i64, revision: u64) {
    for group in users.chunks(1_000) {
        for number in group {
            harness.submit(income(*number, time, BRACKETS[revision as usize % 2]));
        }
        harness.settle().await;
        for (_, status) in results(harness) {
            assert_eq!(status, Status::Applied { revision });
        }
        let warm = harness.runtime.roster.warm_counters();
        assert!(warm.bytes <= harness.runtime.services.options.warm_bytes, "{warm:?}");
    }
}

#[test]
fn warm_users_stay_within_their_bound_while_reads_and_merges_go_on() {
    run(async {
        // About half of the users fit.
        let options = Options { hot_actors_per_shard: 64, warm_bytes: USERS * 130, ..by_hand() };
        let mut harness = Harness::start(Fixture::new(), options);
        merge_all(&mut harness, &(0..USERS).collect::<Vec<_>>(), NOON, 1).await;
        let warm = harness.runtime.roster.warm_counters();
        assert!(warm.users > USERS / 4 && warm.users < USERS, "some are warm, and some are cold: {warm:?}");
        assert!(harness.shard.slots.borrow().len() <= 64, "no other user has an actor");
        let sample: Vec<_> = (0..USERS).step_by(97).collect();
        let (mut from_memory, mut from_store) = (0, 0);
        for number in &sample {
            match harness.runtime.roster.form(&user(*number)) {
                Form::Warm => from_memory += 1,
                _ => from_store += 1,
            }
            let view = harness.view(*number, citizen(*number)).await.expect("known");
            assert_eq!(view.revision, 1);
        }
        assert!(from_memory > sample.len() / 8 && from_store > sample.len() / 8, "{from_memory} and {from_store}");
        merge_all(&mut harness, &sample, NOON + 1, 2).await;
        let recent = sample[sample.len() / 2..]
            .iter()
            .filter(|number| matches!(harness.runtime.roster.form(&user(**number)), Form::Warm | Form::Live));
        assert_eq!(recent.count(), sample.len() - sample.len() / 2, "those in use are in memory");
        assert_eq!(harness.fixture.store.refused(), 0);
    });
}
