//! Limits, failures, passivation and the cache, with every part run by hand.

use std::cell::Cell;
use std::time::Duration;

use domain::schema_version::SchemaVersion;

use super::fixture::{DAY, Fixture, NOON, SERVICE, citizen, deadline, income, user};
use super::harness::{Harness, by_hand, run};
use super::ram_store::Fate;
use crate::load::HydratedUser;
use crate::request::Request;
use crate::shard_event::ShardEvent;
use crate::turn::Turn;
use crate::{Options, ReadError, Status, UserCounters};

const APPLIED: Status = Status::Applied { revision: 1 };

#[test]
fn nothing_is_answered_or_shown_before_it_is_durable() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.submit(income(1, NOON, "0-2.5L"));
        harness.load();
        harness.run_tasks(8).await;
        harness.committer.step(false);
        harness.load();
        harness.run_tasks(8).await;
        assert_eq!(harness.runtime.services.permits.taken(), 1, "merged and pending");
        let profiles = harness.profiles.clone();
        let counters = actix_rt::spawn(async move { profiles.observe_user(user(1)).await });
        harness.run_tasks(8).await;
        let expected = UserCounters { pending: 1, outlets: 0, is_unpacked: false };
        assert_eq!(counters.await.expect("no panic"), Some(expected));
        assert!(harness.results.try_recv().is_err());
        let profiles = harness.profiles.clone();
        let early = actix_rt::spawn(async move {
            profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.map(|view| view.revision)
        });
        harness.run_tasks(8).await;
        assert_eq!(early.await.expect("no panic"), Err(ReadError::Unknown), "the head is not there yet");
        harness.settle().await;
        assert_eq!(harness.results.try_recv().map(|result| result.status), Ok(APPLIED));
        assert_eq!(harness.view(1, citizen(1)).await.map(|view| view.revision), Ok(1));
    });
}

#[test]
fn unchanged_and_duplicate_wait_for_the_pending_revision_too() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.submit(income(1, NOON - 1, "20L+"));
        harness.run_tasks(8).await;
        assert!(harness.results.try_recv().is_err(), "all three wait");
        harness.set_fate(Fate::NotTaken);
        harness.settle().await;
        for _ in 0..3 {
            assert_eq!(harness.results.try_recv().map(|result| result.status), Ok(Status::Busy));
        }
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Duplicate { revision: 2 });
        assert_eq!(harness.apply(income(1, NOON - 1, "20L+")).await, Status::Unchanged { revision: 2 });
    });
}

#[test]
fn a_full_mailbox_is_busy_and_loses_nothing() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { mailbox_capacity: 3, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        for index in 0..5 {
            harness.submit(income(1, NOON + 1 + index, ["2.5L-5L", "0-2.5L"][index as usize % 2]));
        }
        let mut refused = 0;
        while let Ok(result) = harness.results.try_recv() {
            assert_eq!(result.status, Status::Busy);
            refused += 1;
        }
        assert_eq!(refused, 2, "three wait in the mailbox");
        harness.settle().await;
        for revision in 2..=4 {
            assert_eq!(harness.results.try_recv().map(|result| result.status), Ok(Status::Applied { revision }));
        }
    });
}

#[test]
fn the_requests_of_a_user_who_is_hydrated_and_the_users_are_limited() {
    run(async {
        let options = Options { mailbox_capacity: 2, hydration_queue: 1, ..by_hand() };
        let mut harness = Harness::start(Fixture::new(), options);
        for index in 0..3 {
            harness.submit(income(1, NOON + index, ["2.5L-5L", "0-2.5L"][index as usize % 2]));
        }
        harness.submit(income(2, NOON, "0-2.5L"));
        let busy: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|result| result.index).collect();
        assert_eq!(busy, [2, 3]);
        harness.settle().await;
        let done: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|result| result.index).collect();
        assert_eq!(done, [0, 1], "in arrival order");
    });
}

#[test]
fn without_a_permit_nothing_changes() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { commit_permits: 1, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.submit(income(1, NOON + 2, "5L-10L"));
        harness.settle().await;
        let statuses: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|r| r.status).collect();
        assert_eq!(statuses, [Status::Busy, Status::Applied { revision: 2 }]);
        assert_eq!(harness.fixture.store.frames(&user(1)), 2);
    });
}

#[test]
fn a_full_commit_queue_is_busy_and_changes_nothing() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { commit_queue_capacity: 1, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.submit(income(1, NOON + 2, "5L-10L"));
        harness.settle().await;
        let statuses: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|r| r.status).collect();
        assert_eq!(statuses, [Status::Busy, Status::Applied { revision: 2 }]);
    });
}

#[test]
fn a_commit_queue_full_of_bytes_is_busy_and_changes_nothing() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { commit_queue_bytes: 1_000, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        for index in 1..=20 {
            harness.submit(income(1, NOON + index, ["2.5L-5L", "0-2.5L"][index as usize % 2]));
        }
        harness.settle().await;
        let statuses: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|r| r.status).collect();
        let taken = statuses.iter().filter(|status| **status != Status::Busy).count();
        assert!((1..20).contains(&taken), "{statuses:?}");
        assert_eq!(harness.fixture.store.frames(&user(1)), 1 + taken);
        assert!(matches!(harness.apply(income(1, NOON + 30, "5L-10L")).await, Status::Applied { .. }), "room again");
    });
}

#[test]
fn a_group_is_bounded_by_bytes_and_takes_one_record_at_least() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { max_group_bytes: 1, ..by_hand() });
        for number in 0..3 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
        }
        for number in 0..3 {
            harness.submit(income(number, NOON + 1, "2.5L-5L"));
        }
        harness.run_tasks(8).await;
        for committed in 1..=3 {
            harness.committer.step(false);
            let frames: usize = (0..3).map(|number| harness.fixture.store.frames(&user(number))).sum();
            assert_eq!(frames, 3 + committed);
        }
        harness.settle().await;
    });
}

#[test]
fn a_day_that_cannot_be_journalled_shows_the_head_of_its_own_day() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(deadline(NOON, "2026-01-25")).await;
        let before = harness.view(1, citizen(1)).await.expect("known");
        harness.fixture.set_now(NOON + DAY);
        harness.set_fate(Fate::Unknown);
        for _ in 0..2 {
            let view = harness.view(1, citizen(1)).await.expect("the head");
            assert_eq!((view.revision, view.day, view.cache_hit), (1, before.day, false));
        }
    });
}

#[test]
fn a_passivated_actors_views_stay_and_serve_its_next_incarnation() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        let hit = |view: Result<crate::View, ReadError>| view.expect("known").cache_hit;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        assert!(!hit(harness.view(1, citizen(1)).await));
        harness.shard.on_tick();
        assert_eq!(harness.shard.slots.borrow().len(), 0);
        assert!(hit(harness.view(1, citizen(1)).await), "nobody is live");
        assert!(!hit(harness.view(1, SERVICE).await), "another class: it is live again");
        assert!(hit(harness.view(1, citizen(1)).await), "of the last incarnation");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        assert!(!hit(harness.view(1, citizen(1)).await), "another revision");
    });
}

#[test]
fn a_failed_group_fails_all_that_was_built_on_it_at_once() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { max_group: 1, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.submit(income(1, NOON + 2, "5L-10L"));
        harness.run_tasks(8).await;
        harness.set_fate(Fate::NotTaken);
        harness.committer.step(false);
        harness.run_tasks(8).await;
        let statuses: Vec<_> = std::iter::from_fn(|| harness.results.try_recv().ok()).map(|r| r.status).collect();
        assert_eq!(statuses, [Status::Busy, Status::Busy]);
        assert_eq!(harness.apply(income(1, NOON + 3, "10L-20L")).await, Status::Applied { revision: 2 });
        assert_eq!(harness.fixture.store.refused(), 1, "the second was on its way already");
    });
}

#[test]
fn an_actor_whose_first_requests_wait_does_not_passivate() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        harness.submit(income(1, NOON, "0-2.5L"));
        let hydrated =
            ShardEvent::UsersHydrated(vec![HydratedUser { user: user(1), head: Ok(None), newest_of_damaged: None }]);
        harness.shard.handle(hydrated, &mut Turn::default()).await;
        harness.shard.on_tick();
        harness.settle().await;
        assert_eq!(harness.results.try_recv().map(|result| result.status), Ok(APPLIED));
    });
}

#[test]
fn an_actor_that_a_panic_ended_is_hydrated_again_with_what_it_had_in_flight() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.run_tasks(4).await;
        harness.runtime.dispatch(user(1), Request::Panic).expect("there is room");
        harness.submit(income(1, NOON + 2, "5L-10L"));
        harness.run_tasks(8).await;
        let busy: Vec<_> =
            std::iter::from_fn(|| harness.results.try_recv().ok()).map(|r| (r.index, r.status)).collect();
        assert_eq!(busy, [(1, Status::Busy), (2, Status::Busy)], "of unknown fate, and never taken");
        // The first was in the commit queue: it is committed before the next incarnation is loaded.
        assert_eq!(harness.apply(income(1, NOON + 3, "10L-20L")).await, Status::Applied { revision: 3 });
        assert_eq!(harness.fixture.store.refused(), 0);
    });
}

#[test]
fn a_sequence_that_another_wrote_ends_the_actor_and_the_next_request_finds_it() {
    run(async {
        let fixture = Fixture::new();
        let mut one = Harness::start(fixture.clone(), by_hand());
        one.apply(income(1, NOON, "0-2.5L")).await;
        let mut other = Harness::start(fixture, by_hand());
        other.apply(income(1, NOON + 1, "2.5L-5L")).await;
        assert_eq!(one.apply(income(1, NOON + 2, "5L-10L")).await, Status::Busy);
        assert_eq!(one.apply(income(1, NOON + 2, "5L-10L")).await, Status::Applied { revision: 3 });
        assert_eq!(one.fixture.store.refused(), 1);
    });
}

#[test]
fn a_journal_that_panics_fails_what_is_pending_and_nothing_hangs() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.set_fate(Fate::Panics);
        assert_eq!(harness.apply(income(1, NOON, "0-2.5L")).await, Status::Busy);
        assert!(!harness.profiles.is_ready());
        assert_eq!(harness.view(1, citizen(1)).await.err(), Some(ReadError::Unknown));
    });
}

#[test]
fn an_idle_actor_passivates_and_comes_back_and_a_busy_one_stays() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.submit(income(2, NOON, "0-2.5L"));
        harness.run_tasks(4).await;
        harness.committer.step(false);
        harness.load();
        harness.run_tasks(4).await;
        assert_eq!((harness.shard.slots.borrow().len(), harness.runtime.services.permits.taken()), (2, 1));
        harness.submit(income(1, NOON + 1, "2.5L-5L"));
        harness.shard.on_tick();
        assert_eq!(harness.shard.slots.borrow().len(), 2, "one has a message, the other a commit");
        harness.settle().await;
        while harness.results.try_recv().is_ok() {}
        harness.shard.on_tick();
        assert_eq!(harness.shard.slots.borrow().len(), 0);
        assert_eq!(harness.apply(income(1, NOON + 2, "5L-10L")).await, Status::Applied { revision: 3 });
        assert_eq!(harness.view(2, citizen(2)).await.map(|view| view.revision), Ok(1));
    });
}

#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "the borrow makes the piece panic")]
fn a_panic_in_one_piece_of_upkeep_does_not_end_the_others() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        for number in 0..40 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
        }
        let state = harness.shard.slots.borrow().at(0).expect("an actor");
        let borrowed = state.borrow_mut();
        let mut upkeep = harness.shard.begin_tick();
        harness.shard.do_upkeep(&mut upkeep, &mut Turn::default()).await;
        drop(borrowed);
        let left = harness.shard.slots.borrow().len();
        assert!((1..40).contains(&left), "{left} are left: only the piece with the borrowed state panicked");
    });
}

#[test]
fn a_state_that_panics_leaves_the_others_their_turn() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        for number in 0..3 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
        }
        let reached = Cell::new(0);
        harness.shard.for_each(|state, _| {
            reached.set(reached.get() + 1);
            assert_ne!(*state.user(), user(0), "this one panics");
        });
        assert_eq!(reached.get(), 3);
        assert_eq!(harness.shard.slots.borrow().len(), 2, "the one that panicked has ended");
        assert_eq!(harness.apply(income(0, NOON + 1, "5L-10L")).await, Status::Applied { revision: 2 });
    });
}

#[test]
fn beyond_the_maximum_the_longest_idle_actors_are_passivated() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { max_live_actors: 2, ..by_hand() });
        for number in 0..4 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
            harness.shard.on_tick();
        }
        assert_eq!(harness.shard.slots.borrow().len(), 2);
        for number in 0..4 {
            harness.runtime.roster.send_if_live(&user(number), Request::Panic);
        }
        harness.run_tasks(8).await;
        assert_eq!(harness.shard.slots.borrow().len(), 0, "the two youngest were live");
    });
}

#[test]
fn actors_beyond_the_hot_ring_become_warm_and_start_at_the_same_view() {
    run(async {
        let mut harness =
            Harness::start(Fixture::new(), Options { hot_actors_per_shard: 1, view_bytes: 0, ..by_hand() });
        for number in 0..5 {
            harness.apply(income(number, NOON, "0-2.5L")).await;
        }
        let tiers =
            |harness: &Harness| (harness.shard.slots.borrow().len(), harness.runtime.roster.warm_counters().users);
        assert_eq!(tiers(&harness), (1, 4));
        for number in 0..5 {
            let view = harness.view(number, citizen(number)).await.expect("known");
            assert!(String::from_utf8_lossy(&view.body).contains("0-2.5L"));
            assert_eq!(tiers(&harness), (1, 4));
        }
        assert_eq!(harness.apply(income(0, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
    });
}

#[test]
fn a_view_is_served_from_the_cache_until_its_revision_day_or_incarnation_ends() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        let hit = |view: Result<crate::View, ReadError>| view.expect("known").cache_hit;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        assert!(!hit(harness.view(1, citizen(1)).await));
        assert!(hit(harness.view(1, citizen(1)).await));
        assert!(!hit(harness.view(1, SERVICE).await), "another class");
        assert!(hit(harness.view(1, citizen(1)).await) && hit(harness.view(1, SERVICE).await), "side by side");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        assert!(!hit(harness.view(1, citizen(1)).await), "another revision");
        harness.fixture.set_now(NOON + DAY);
        assert!(!hit(harness.view(1, citizen(1)).await), "another day");
        harness.fixture.set_now(NOON);
        assert!(hit(harness.view(1, citizen(1)).await), "a day does not go back");
        harness.runtime.dispatch(user(1), Request::Panic).expect("there is room");
        harness.run_tasks(8).await;
        assert!(!hit(harness.view(1, citizen(1)).await), "another incarnation");
    });
}

#[test]
fn a_late_insertion_of_an_old_view_is_never_served() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.view(1, citizen(1)).await.expect("known");
        let old = harness.runtime.services.cache.current(&user(1), harness.runtime.services.today()).expect("cached");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        harness.view(1, citizen(1)).await.expect("known");
        harness.runtime.services.cache.put_back(user(1), old);
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert_eq!((view.revision, view.cache_hit), (2, false));
    });
}
