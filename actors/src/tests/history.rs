//! Reads through history: what was published then, under the mask of now, and without holding up others.

use std::sync::Arc;
use std::time::Duration;

use domain::id::UserId;
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};
use domain::schema_version::SchemaVersion;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use super::fixture::{DAY, Fixture, NOON, SERVICE, THIRD_PARTY, citizen, consent, deadline, income, user};
use super::harness::{Harness, by_hand, run};
use super::ram_store::RamStore;
use crate::history::{HistoryFault, HistoryPoint, ListedCause, RevisionPage};
use crate::{Options, Profiles, ReadError, Reply, Status, View};

use domain::access::Viewer;

type PastView = Result<Result<View, HistoryFault>, ReadError>;

async fn view_at(harness: &mut Harness, viewer: Viewer, point: HistoryPoint) -> PastView {
    let profiles = harness.profiles.clone();
    harness.ask(async move { profiles.view_at(user(1), &viewer, SchemaVersion::NEWEST, point).await }).await
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

/// Returns the state of a user with four revisions, an hour apart: an income, a consent, and two incomes.
async fn with_history() -> Harness {
    let mut harness = Harness::start(Fixture::new(), by_hand());
    let hour = DAY / 24;
    harness.apply(income(1, NOON, "0-2.5L")).await;
    harness.fixture.set_now(NOON + hour);
    harness.apply(consent(NOON, "full", true)).await;
    for (number, bracket) in [(2, "2.5L-5L"), (3, "5L-10L")] {
        harness.fixture.set_now(NOON + number * hour);
        harness.apply(income(1, NOON + number, bracket)).await;
    }
    harness
}

#[test]
fn the_past_is_as_it_was_published_and_its_edges_are_named() {
    run(async {
        let mut harness = with_history().await;
        let hour = DAY / 24;
        let mut seen = Vec::new();
        for revision in 1..=4 {
            let view = view_at(&mut harness, citizen(1), HistoryPoint::Revision(revision)).await;
            let view = view.expect("visible").expect("there");
            assert_eq!((view.revision, json(&view.body)["revision"].as_u64()), (revision, Some(revision)));
            seen.push(json(&view.body)["economic"]["income_bracket"].as_str().expect("an income").to_owned());
        }
        assert_eq!(seen, ["0-2.5L", "0-2.5L", "2.5L-5L", "5L-10L"]);
        let head = harness.view(1, citizen(1)).await.expect("visible");
        let again =
            view_at(&mut harness, citizen(1), HistoryPoint::Revision(4)).await.expect("visible").expect("there");
        assert_eq!(again.body, head.body);
        for (instant, expected) in [
            (NOON, Ok(1)),
            (NOON + hour - 1, Ok(1)),
            (NOON + hour, Ok(2)),
            (NOON + 3 * hour - 1, Ok(3)),
            (NOON + 3 * hour, Ok(4)),
            (NOON + 3 * hour + 1, Err(HistoryFault::Future)),
            (NOON - 1, Err(HistoryFault::UnknownRevision)),
        ] {
            let read = view_at(&mut harness, citizen(1), HistoryPoint::AsOf(instant)).await.expect("visible");
            assert_eq!(read.map(|view| view.revision), expected, "{instant}");
        }
        for point in [HistoryPoint::Revision(0), HistoryPoint::Revision(5), HistoryPoint::Revision(u64::MAX)] {
            let read = view_at(&mut harness, citizen(1), point).await.expect("visible");
            assert_eq!(read.map(|view| view.revision), Err(HistoryFault::UnknownRevision));
        }
        let snapshot = view_at(&mut harness, citizen(1), HistoryPoint::Snapshot("snap_x".to_owned())).await;
        assert_eq!(snapshot.expect("visible").map(|view| view.revision), Err(HistoryFault::UnknownSnapshot));
    });
}

#[test]
fn a_head_whose_day_has_turned_is_rolled_before_the_past_is_read() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(deadline(NOON, "2026-01-25")).await;
        let turned = NOON + DAY;
        harness.fixture.set_now(turned);
        let days = |view: &View| json(&view.body)["deadlines"]["upcoming"][0]["days_remaining"].as_i64();
        let midnight = HistoryPoint::AsOf(turned - 1);
        let before = view_at(&mut harness, citizen(1), midnight).await.expect("visible").expect("there");
        assert_eq!((before.revision, days(&before)), (2, Some(5)), "as it was published then");
        let now = view_at(&mut harness, citizen(1), HistoryPoint::AsOf(turned)).await.expect("visible").expect("there");
        assert_eq!((now.revision, days(&now)), (3, Some(4)));
        let page = revisions(&mut harness, citizen(1), None, 1).await;
        assert_eq!(page.items[0].cause.as_ref().map(|cause| cause.kind), Some("roll"));
    });
}

#[test]
fn what_was_withdrawn_while_a_read_waits_is_not_shown_of_the_past_either() {
    run(async {
        let mut harness = with_history().await;
        let shared = view_at(&mut harness, SERVICE, HistoryPoint::Revision(3)).await.expect("visible").expect("there");
        assert_eq!(json(&shared.body)["economic"]["income_bracket"], "2.5L-5L");
        for (time, viewer) in [(NOON + 10, SERVICE), (NOON + 20, THIRD_PARTY)] {
            let profiles = harness.profiles.clone();
            let asked = viewer.clone();
            let read = actix_rt::spawn(async move {
                profiles.view_at(user(1), &asked, SchemaVersion::NEWEST, HistoryPoint::Revision(3)).await
            });
            // The read waits for its thread.
            for _ in 0..4 {
                harness.run_tasks(8).await;
                harness.committer.step(false);
                harness.load();
            }
            assert!(harness.runtime.history.has_job() && !read.is_finished());
            harness.apply(consent(time, "minimal", false)).await;
            harness.settle().await;
            let read = read.await.expect("no panic");
            match viewer {
                THIRD_PARTY => assert!(matches!(read, Err(ReadError::Unknown)), "{read:?}"),
                _ => {
                    let view = read.expect("visible").expect("there");
                    assert_eq!(view.revision, 3);
                    assert!(!String::from_utf8_lossy(&view.body).contains("income"), "{view:?}");
                }
            }
            harness.apply(consent(time + 1, "full", true)).await;
        }
    });
}

async fn revisions(harness: &mut Harness, viewer: Viewer, before: Option<u64>, limit: usize) -> RevisionPage {
    let profiles = harness.profiles.clone();
    let page = harness.ask(async move { profiles.revisions(user(1), &viewer, before, limit).await }).await;
    page.expect("visible")
}

#[test]
fn pages_of_revisions_are_stable_and_say_no_more_than_the_caller_may_see() {
    run(async {
        let mut harness = with_history().await;
        let numbers = |page: &RevisionPage| page.items.iter().map(|item| item.revision).collect::<Vec<_>>();
        let newest = revisions(&mut harness, citizen(1), None, 3).await;
        assert_eq!((numbers(&newest), newest.next_before), (vec![4, 3, 2], Some(2)));
        harness.apply(income(1, NOON + 9, "20L+")).await;
        let oldest = revisions(&mut harness, citizen(1), newest.next_before, 3).await;
        assert_eq!((numbers(&oldest), oldest.next_before), (vec![1], None), "a new revision moves nothing");
        assert_eq!(newest.items[0].changed, ["economic.income_bracket"]);
        let cause = newest.items[0].cause.clone();
        let (kind, source) = ("feed", Some("metadata"));
        let id = Some(format!("income-{}", NOON + 3));
        assert_eq!(cause, Some(ListedCause { kind, source, event_id: id, person: None }));

        // The service sees the income and not the consent.
        let seen = revisions(&mut harness, SERVICE, Some(4), 2).await;
        assert_eq!((numbers(&seen), seen.next_before), (vec![3, 2], Some(2)));
        assert_eq!(seen.items[0].changed, ["economic.income_bracket"]);
        assert_eq!(seen.items[0].cause, Some(ListedCause { kind, source, event_id: None, person: None }));
        assert_eq!((&seen.items[1].changed[..], &seen.items[1].cause), (&[][..], &None));

        harness.apply(consent(NOON + 10, "minimal", true)).await;
        let seen = revisions(&mut harness, SERVICE, None, 200).await;
        assert_eq!((numbers(&seen), seen.next_before), (vec![6, 5, 4, 3, 2, 1], None));
        assert!(seen.items.iter().all(|item| item.changed.is_empty() && item.cause.is_none()), "{seen:?}");
    });
}

/// A store whose history cannot be read while the gate is closed.
struct GatedStore {
    inner: RamStore,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl ProfileStore for GatedStore {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        self.inner.load(user, visitor)
    }

    fn load_history(
        &self,
        user: &UserId,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        self.opened.wait_while(&mut self.is_open.lock(), |is_open| !*is_open);
        self.inner.load_history(user, since, visitor)
    }
}

async fn apply(profiles: &Profiles, event: domain::event::FeedEvent) -> Status {
    let (reply, result) = Reply::one();
    assert!(profiles.submit(event, std::time::Instant::now(), reply).is_ok());
    result.await.expect("an answer").status
}

#[test]
fn a_stuck_read_of_history_leaves_cold_reads_going_and_the_lane_is_bounded() {
    run(async {
        let fixture = Fixture::new();
        let options = Options { shards: 1, hydration_threads: 1, history_queue: 1, ..Options::default() };
        let profiles = Profiles::start(options.clone(), fixture.ports()).expect("threads");
        for number in 1..=20 {
            for time in [NOON, NOON + 1] {
                let bracket = if time == NOON { "0-2.5L" } else { "20L+" };
                assert!(matches!(apply(&profiles, income(number, time, bracket)).await, Status::Applied { .. }));
            }
        }
        assert!(profiles.stop().await);

        // All users are cold now.
        let store =
            Arc::new(GatedStore { inner: fixture.store.clone(), is_open: Mutex::new(false), opened: Condvar::new() });
        let ports = crate::Ports { store: store.clone(), ..fixture.ports() };
        let profiles = Profiles::start(options, ports).expect("threads");
        let past = |number| {
            let profiles = profiles.clone();
            actix_rt::spawn(async move {
                profiles.view_at(user(number), &citizen(number), SchemaVersion::NEWEST, HistoryPoint::Revision(1)).await
            })
        };
        let stuck = past(1);
        // The second waits in the queue once the first is being read, which a third notices.
        let mut waiting = Vec::new();
        let refused = loop {
            let mut next = past(2);
            match tokio::time::timeout(Duration::from_millis(20), &mut next).await {
                Ok(answer) => break answer.expect("no panic"),
                Err(_) => waiting.push(next),
            }
        };
        assert!(matches!(refused, Err(ReadError::Busy)), "{refused:?}");
        for number in 3..=20 {
            let view = profiles
                .view(user(number), &citizen(number), SchemaVersion::NEWEST)
                .await
                .expect("loaded beside the stuck read");
            assert_eq!((view.revision, view.cache_hit), (2, false));
        }
        assert!(!stuck.is_finished() && waiting.iter().all(|read| !read.is_finished()));
        *store.is_open.lock() = true;
        store.opened.notify_all();
        for read in std::iter::once(stuck).chain(waiting) {
            let view = read.await.expect("no panic").expect("there was room").expect("there");
            assert_eq!((view.revision, json(&view.body)["economic"]["income_bracket"].as_str()), (1, Some("0-2.5L")));
        }
        assert!(profiles.stop().await);
    });
}
