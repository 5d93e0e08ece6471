//! Reads are answered from the committed head on their asker's thread, however late the asker gets there.

use std::time::Duration;

use domain::access::Viewer;
use domain::schema_version::SchemaVersion;

use super::fixture::{Fixture, NOON, SERVICE, citizen, consent, income, user};
use super::harness::{Harness, by_hand, run};
use crate::reading::{ReadCompleteness, ReadInput, Reading, View};
use crate::request::{CommittedHead, GetHead, Request};
use crate::{Options, ReadError, Status};

/// Takes user 1's head as a reader does, and keeps it.
async fn take_head(harness: &mut Harness) -> CommittedHead {
    let (answer, head) = tokio::sync::oneshot::channel();
    harness.runtime.dispatch(user(1), Request::GetHead(GetHead { answer })).expect("there is room");
    // Not settled: a held head is work that is under way.
    while harness.runtime.roster.starting() > 0 {
        harness.committer.step(false);
        harness.load();
        harness.run_tasks(8).await;
    }
    harness.run_tasks(8).await;
    head.await.expect("an answer").expect("a head")
}

/// Submits an event and runs all parts for long enough, although a head is held.
async fn apply_beside(harness: &mut Harness, event: domain::event::FeedEvent) -> Status {
    harness.submit(event);
    for _ in 0..4 {
        harness.run_tasks(8).await;
        harness.committer.step(false);
        harness.load();
    }
    harness.run_tasks(8).await;
    harness.results.try_recv().expect("a result").status
}

/// Makes a view from a head that was taken before.
fn finish(harness: &Harness, head: CommittedHead, viewer: &Viewer) -> Result<View, ReadError> {
    harness.runtime.view_from(&user(1), viewer, &head)
}

fn live(harness: &Harness) -> usize {
    harness.shard.slots.borrow().len()
}

#[test]
fn an_actor_is_not_passivated_while_a_reader_holds_its_head() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let head = take_head(&mut harness).await;
        harness.shard.on_tick();
        assert_eq!(live(&harness), 1, "the reader could cache a view that nothing would make outdated");
        assert_eq!(finish(&harness, head, &citizen(1)).map(|view| view.revision), Ok(1));
        harness.shard.on_tick();
        assert_eq!(live(&harness), 0);
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert!(view.cache_hit, "of the incarnation before");
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
        assert_eq!(harness.view(1, citizen(1)).await.map(|view| (view.revision, view.cache_hit)), Ok((2, false)));
    });
}

#[test]
fn a_reader_that_is_dropped_without_its_answer_holds_nothing() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), Options { idle_passivate: Duration::ZERO, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (answer, head) = tokio::sync::oneshot::channel();
        harness.runtime.dispatch(user(1), Request::GetHead(GetHead { answer })).expect("there is room");
        harness.run_tasks(8).await;
        drop(head);
        harness.shard.on_tick();
        assert_eq!(live(&harness), 0);
    });
}

#[test]
fn a_late_reader_gets_its_own_revision_and_leaves_newer_views_in_the_cache() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(consent(NOON, "full", true)).await;
        let (late, later) = (take_head(&mut harness).await, take_head(&mut harness).await);
        assert!(matches!(apply_beside(&mut harness, income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { .. }));
        let newest = take_head(&mut harness).await;
        assert_eq!(finish(&harness, newest, &citizen(1)).map(|view| view.revision), Ok(3));
        let view = finish(&harness, late, &citizen(1)).expect("the head that was taken");
        assert_eq!((view.revision, view.cache_hit), (2, false), "newer views are under a newer consent");
        assert_eq!(finish(&harness, later, &SERVICE).map(|view| view.revision), Ok(2));
        for (viewer, is_hit) in [(citizen(1), true), (SERVICE, false)] {
            let view = harness.view(1, viewer).await.expect("known");
            assert_eq!((view.revision, view.cache_hit), (3, is_hit));
        }
    });
}

#[test]
fn a_late_reader_sees_nothing_that_was_withdrawn_before_its_head_or_added_after_it() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(consent(NOON, "full", true)).await;
        let head = take_head(&mut harness).await;
        let other = take_head(&mut harness).await;
        let shared = finish(&harness, other, &SERVICE).expect("visible");
        assert!(matches!(apply_beside(&mut harness, consent(NOON + 1, "minimal", true)).await, Status::Applied { .. }));
        assert!(matches!(apply_beside(&mut harness, income(1, NOON + 2, "20L+")).await, Status::Applied { .. }));
        // A view of the newest revision, in the class that the late reader is in.
        let newest = take_head(&mut harness).await;
        let body = domain::pipeline::serialize::view(&newest.state, shared.class);
        let newer = View { body: body.into(), ..shared };
        harness.runtime.services.cache.insert(user(1), newest.lease.cell(), &newest.state, &newer);
        let view = finish(&harness, head, &SERVICE).expect("visible");
        assert_eq!(view.revision, 2);
        assert!(!String::from_utf8_lossy(&view.body).contains("20L+"), "withdrawn before it was added");
    });
}

#[test]
fn readers_of_several_classes_keep_each_others_views() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(consent(NOON, "full", true)).await;
        let (one, other) = (take_head(&mut harness).await, take_head(&mut harness).await);
        assert!(finish(&harness, one, &citizen(1)).is_ok_and(|view| !view.cache_hit));
        assert!(finish(&harness, other, &SERVICE).is_ok_and(|view| !view.cache_hit));
        for viewer in [citizen(1), SERVICE] {
            assert!(harness.view(1, viewer).await.is_ok_and(|view| view.cache_hit));
        }
    });
}

#[test]
fn the_versions_of_a_view_are_cached_side_by_side() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        for is_hit in [false, true] {
            for schema in SchemaVersion::ALL {
                let profiles = harness.profiles.clone();
                let view = harness.ask(async move { profiles.view(user(1), &citizen(1), *schema).await }).await;
                let view = view.expect("known");
                assert_eq!((view.class.schema(), view.cache_hit), (*schema, is_hit));
                assert_eq!(view.class.leaves(), schema.leaves(), "a citizen sees every leaf that the version has");
            }
        }
    });
}

/// A kind of read that panics.
struct Panics;

impl Reading for Panics {
    type Answer = ();

    fn answer(&self, _: &ReadInput<'_>) -> Result<(), ReadError> {
        panic!("injected")
    }
}

#[test]
fn a_panic_in_a_read_harms_neither_the_actor_nor_another_read() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.view(1, citizen(1)).await.expect("known");
        let profiles = harness.profiles.clone();
        let answer = harness.ask(async move { profiles.read(user(1), &citizen(1), Panics).await }).await;
        assert_eq!(answer, Err(ReadError::Unavailable));
        assert_eq!(live(&harness), 1, "the actor goes on");
        assert!(harness.view(1, citizen(1)).await.is_ok_and(|view| view.cache_hit), "with its cell");
        let profiles = harness.profiles.clone();
        let answer = harness.ask(async move { profiles.read(user(1), &citizen(1), ReadCompleteness).await }).await;
        assert_eq!(answer.map(|completeness| completeness.revision), Ok(1));
        assert_eq!(harness.apply(income(1, NOON + 1, "2.5L-5L")).await, Status::Applied { revision: 2 });
    });
}
