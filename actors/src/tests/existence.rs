//! Callers who must not learn whether a user exists do not learn it, under load and in faults too.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::access::Viewer;
use domain::id::UserId;
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};
use domain::schema_version::SchemaVersion;
use parking_lot::Mutex;

use super::fixture::{Fixture, NOON, SERVICE, THIRD_PARTY, citizen, consent, income, user};
use super::harness::{Harness, by_hand, run};
use super::ram_store::RamStore;
use crate::history::HistoryPoint;
use crate::outlet::channel;
use crate::reading::ReadCompleteness;
use crate::roster::Form;
use crate::{Options, ReadError, Subscription};

/// A store that counts the look-ups, and fails as the test sets it.
struct CountingStore {
    inner: RamStore,
    look_ups: AtomicUsize,
    /// Whether every look-up fails.
    is_down: std::sync::atomic::AtomicBool,
    /// Users whose stored bytes are damaged.
    damaged: Mutex<HashSet<UserId>>,
    /// Users whose stored bytes cannot be read now.
    unavailable: Mutex<HashSet<UserId>>,
}

impl CountingStore {
    fn new(inner: RamStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            look_ups: AtomicUsize::default(),
            is_down: false.into(),
            damaged: Mutex::default(),
            unavailable: Mutex::default(),
        })
    }
}

impl ProfileStore for CountingStore {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) || self.unavailable.lock().contains(user) {
            return Err(StoreError::Unavailable { doing: "reading", source: "the test says so".into() });
        }
        if self.damaged.lock().contains(user) {
            return Err(StoreError::Damaged { what: "the test says so".to_owned() });
        }
        self.inner.load(user, visitor)
    }

    fn load_history(
        &self,
        user: &UserId,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        self.inner.load_history(user, since, visitor)
    }
}

#[derive(Debug, Clone, Copy)]
enum Question {
    View,
    Completeness,
    Subscription,
    Past,
    Difference,
    Revisions,
}

const QUESTIONS: [Question; 6] = [
    Question::View,
    Question::Completeness,
    Question::Subscription,
    Question::Past,
    Question::Difference,
    Question::Revisions,
];

/// What a caller can notice of an answer: the error, and the time by what it waited for.
#[derive(Debug, PartialEq, Eq)]
struct Observation {
    answer: Option<ReadError>,
    /// Look-ups in the store before the answer, and in total.
    look_ups: (usize, usize),
    /// Whether the answer waited for the commit queue, and for the hydration thread.
    waited: (bool, bool),
}

async fn ask(harness: &mut Harness, store: &CountingStore, asked: UserId, question: Question) -> Observation {
    let before = store.look_ups.load(Ordering::Relaxed);
    let count = || store.look_ups.load(Ordering::Relaxed) - before;
    let profiles = harness.profiles.clone();
    let answer = actix_rt::spawn(async move {
        match question {
            Question::View => profiles.view(asked, &THIRD_PARTY, SchemaVersion::NEWEST).await.err(),
            Question::Completeness => profiles.read(asked, &THIRD_PARTY, ReadCompleteness).await.err(),
            Question::Past => {
                profiles.view_at(asked, &THIRD_PARTY, SchemaVersion::NEWEST, HistoryPoint::Revision(1)).await.err()
            }
            Question::Difference => profiles
                .difference(asked, &THIRD_PARTY, SchemaVersion::NEWEST, (HistoryPoint::Revision(1), None))
                .await
                .err(),
            Question::Revisions => profiles.revisions(asked, &THIRD_PARTY, None, 10).await.err(),
            Question::Subscription => {
                let (outlet, _frames) = channel(8);
                let subscription = Subscription {
                    id: 1,
                    viewer: THIRD_PARTY,
                    fields: None,
                    schema: SchemaVersion::NEWEST,
                    names_sources: false,
                    cursor: None,
                    followed_before: false,
                    outlet,
                };
                profiles.subscribe(asked, subscription).await.err()
            }
        }
    });
    harness.run_tasks(16).await;
    harness.load();
    harness.run_tasks(16).await;
    let waited_for_commits = !answer.is_finished() && count() == 0;
    harness.committer.step(false);
    harness.run_tasks(16).await;
    let waited_for_loads = !answer.is_finished() && count() == 0;
    harness.load();
    let before_answer = count();
    harness.run_tasks(16).await;
    assert!(answer.is_finished(), "one pass through the queue and one through the hydration thread answer it");
    let answer = answer.await.expect("no panic");
    harness.settle().await;
    Observation { answer, look_ups: (before_answer, count()), waited: (waited_for_commits, waited_for_loads) }
}

/// Returns three users who share with nobody, a live, a cold and a warm one, and an id that nobody has.
async fn hidden_and_unknown(store: &Arc<CountingStore>, fixture: Fixture, options: Options) -> (Harness, [UserId; 4]) {
    let ports = crate::Ports { store: store.clone(), ..fixture.ports() };
    let mut seeding = Harness::start(fixture.clone(), by_hand());
    seeding.apply(income(1, NOON, "0-2.5L")).await;
    seeding.apply(consent(NOON, "full", false)).await;
    seeding.apply(income(2, NOON, "0-2.5L")).await;
    seeding.apply(income(4, NOON, "0-2.5L")).await;
    let mut harness = Harness::start_with(fixture, ports, options);
    harness.view(1, citizen(1)).await.expect("known");
    harness.view(4, citizen(4)).await.expect("known");
    assert!(harness.shard.passivate_user(&user(4)));
    let users = [user(1), user(2), user(4), user(3)];
    assert_eq!(users.map(|user| harness.runtime.roster.form(&user)), [Form::Live, Form::Cold, Form::Warm, Form::Cold]);
    (harness, users)
}

async fn all_alike(
    harness: &mut Harness,
    store: &CountingStore,
    users: [UserId; 4],
    question: Question,
) -> Observation {
    let mut seen = Vec::new();
    for asked in users {
        seen.push(ask(harness, store, asked, question).await);
    }
    let last = seen.pop().expect("four were asked for");
    assert!(seen.iter().all(|one| *one == last), "{question:?}: {seen:?}, and {last:?} for an unknown user");
    last
}

#[test]
fn hidden_and_unknown_users_cost_the_same_and_get_the_same_answer() {
    run(async {
        for question in QUESTIONS {
            let fixture = Fixture::new();
            let store = CountingStore::new(fixture.store.clone());
            let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
            let seen = all_alike(&mut harness, &store, users, question).await;
            assert_eq!((seen.answer, seen.waited), (Some(ReadError::Unknown), (true, true)), "{question:?}");
            assert!(seen.look_ups.0 > 0);
        }
    });
}

/// Asks many questions about one user at the same time.
fn ask_many(harness: &Harness, asked: UserId) -> Vec<tokio::task::JoinHandle<Option<ReadError>>> {
    let ask = |_| {
        let profiles = harness.profiles.clone();
        actix_rt::spawn(async move { profiles.view(asked, &THIRD_PARTY, SchemaVersion::NEWEST).await.err() })
    };
    (0..50).map(ask).collect()
}

async fn all_denied(answers: Vec<tokio::task::JoinHandle<Option<ReadError>>>) {
    for answer in answers {
        assert_eq!(answer.await.expect("no panic"), Some(ReadError::Unknown));
    }
}

#[test]
fn many_questions_at_once_cost_what_one_costs() {
    run(async {
        let fixture = Fixture::new();
        let store = CountingStore::new(fixture.store.clone());
        let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
        for asked in users {
            let before = store.look_ups.load(Ordering::Relaxed);
            let answers = ask_many(&harness, asked);
            harness.settle().await;
            all_denied(answers).await;
            let look_ups = store.look_ups.load(Ordering::Relaxed) - before;
            assert_eq!(look_ups, 3, "{asked:?}: the id, the control, and the id once more");
        }
    });
}

#[test]
fn a_question_while_a_hidden_user_becomes_live_waits_as_for_an_unknown_user() {
    run(async {
        let fixture = Fixture::new();
        let store = CountingStore::new(fixture.store.clone());
        let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
        for asked in users {
            let before = store.look_ups.load(Ordering::Relaxed);
            let first = ask_many(&harness, asked);
            harness.run_tasks(8).await;
            harness.committer.step(false);
            harness.load();
            all_denied(first).await;
            let second = ask_many(&harness, asked);
            harness.run_tasks(8).await;
            assert!(second.iter().all(|answer| !answer.is_finished()), "{asked:?}");
            harness.settle().await;
            all_denied(second).await;
            assert_eq!(store.look_ups.load(Ordering::Relaxed) - before, 3, "{asked:?}");
        }
    });
}

#[test]
fn no_caller_waits_for_an_answer_after_the_live_state_has_stopped() {
    run(async {
        let fixture = Fixture::new();
        let store = CountingStore::new(fixture.store.clone());
        let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
        let waits = harness.submit(income(7, NOON, "0-2.5L"));
        assert!(harness.results.try_recv().is_err());
        harness.runtime.services.commits.close();
        harness.runtime.roster.refuse_waiting();
        assert_eq!(harness.results.try_recv().map(|result| result.index), Ok(waits), "it is refused");
        for asked in users {
            for viewer in [THIRD_PARTY, SERVICE] {
                if [user(1), user(4)].contains(&asked) && viewer == SERVICE {
                    continue;
                }
                let profiles = harness.profiles.clone();
                let answer =
                    actix_rt::spawn(async move { profiles.view(asked, &viewer, SchemaVersion::NEWEST).await.err() });
                harness.run_tasks(4).await;
                assert!(answer.is_finished(), "{asked:?}");
                assert_eq!(answer.await.expect("no panic"), Some(ReadError::Busy), "{asked:?}");
            }
        }
        assert_eq!((harness.runtime.roster.starting(), harness.runtime.look_ups.taken()), (0, 0));
    });
}

#[test]
fn every_fault_looks_the_same_for_hidden_and_unknown_users() {
    run(async {
        for question in QUESTIONS {
            let fixture = Fixture::new();
            let store = CountingStore::new(fixture.store.clone());
            let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
            store.is_down.store(true, Ordering::Relaxed);
            let down = all_alike(&mut harness, &store, users, question).await;
            assert_eq!(down.answer, Some(ReadError::Unavailable), "{question:?}");
            store.is_down.store(false, Ordering::Relaxed);

            let fixture = Fixture::new();
            let store = CountingStore::new(fixture.store.clone());
            let (mut harness, users) = hidden_and_unknown(&store, fixture, by_hand()).await;
            store.damaged.lock().extend([user(1), user(2), user(4)]);
            let damaged = all_alike(&mut harness, &store, users, question).await;
            assert_eq!(damaged.answer, Some(ReadError::Unknown), "{question:?}");
            store.damaged.lock().clear();
            store.unavailable.lock().extend([user(1), user(2), user(4)]);
            let unavailable = all_alike(&mut harness, &store, users, question).await;
            assert_eq!(unavailable.answer, Some(ReadError::Unknown), "{question:?}");
        }
    });
}

#[test]
fn a_user_with_too_many_events_is_denied_like_an_unknown_user() {
    run(async {
        let fixture = Fixture::new();
        let store = CountingStore::new(fixture.store.clone());
        let tiny = Options { mailbox_capacity: 1, mailbox_reads: 1, mailbox_own_writes: 1, ..by_hand() };
        let (mut harness, users) = hidden_and_unknown(&store, fixture, tiny).await;
        for question in QUESTIONS {
            // The mailbox of the live user and the waiting requests of the other are full, reads included.
            for number in [1, 2, 4] {
                for step in 0..4 {
                    harness.submit(income(number, NOON + 1 + step, "2.5L-5L"));
                    let profiles = harness.profiles.clone();
                    actix_rt::spawn(async move { profiles.read(user(number), &SERVICE, ReadCompleteness).await.err() });
                }
            }
            tokio::task::yield_now().await;
            let answers = users.map(|asked| {
                let profiles = harness.profiles.clone();
                actix_rt::spawn(async move {
                    match question {
                        Question::View => profiles.view(asked, &THIRD_PARTY, SchemaVersion::NEWEST).await.err(),
                        _ => profiles.read(asked, &THIRD_PARTY, ReadCompleteness).await.err(),
                    }
                })
            });
            harness.settle().await;
            for answer in answers {
                assert_eq!(answer.await.expect("no panic"), Some(ReadError::Unknown), "{question:?}");
            }
        }
    });
}

#[test]
fn a_user_who_shares_is_visible_until_that_ends() {
    run(async {
        let fixture = Fixture::new();
        let mut seeding = Harness::start(fixture.clone(), by_hand());
        seeding.apply(income(1, NOON, "0-2.5L")).await;
        seeding.apply(consent(NOON, "full", true)).await;
        let mut harness = Harness::start(fixture, by_hand());
        assert_eq!(harness.view(1, THIRD_PARTY).await.map(|view| view.revision), Ok(2), "cold");
        assert_eq!(harness.view(1, THIRD_PARTY).await.map(|view| view.revision), Ok(2), "live");
        harness.apply(consent(NOON + 1, "full", false)).await;
        assert_eq!(harness.view(1, THIRD_PARTY).await.err(), Some(ReadError::Unknown));
        harness.apply(consent(NOON + 2, "full", true)).await;
        assert_eq!(harness.view(1, THIRD_PARTY).await.map(|view| view.revision), Ok(4));
    });
}

#[test]
fn too_many_look_ups_are_busy_for_every_user() {
    run(async {
        let fixture = Fixture::new();
        let store = CountingStore::new(fixture.store.clone());
        let (mut harness, users) =
            hidden_and_unknown(&store, fixture, Options { hydration_queue: 1, ..by_hand() }).await;
        let ask = |harness: &Harness, asked: UserId, viewer: Viewer| {
            let profiles = harness.profiles.clone();
            actix_rt::spawn(async move { profiles.view(asked, &viewer, SchemaVersion::NEWEST).await.err() })
        };
        let first = ask(&harness, user(9), THIRD_PARTY);
        harness.run_tasks(4).await;
        let refused = users.map(|asked| ask(&harness, asked, THIRD_PARTY));
        harness.settle().await;
        assert_eq!(first.await.expect("no panic"), Some(ReadError::Unknown));
        for answer in refused {
            assert_eq!(answer.await.expect("no panic"), Some(ReadError::Busy));
        }
    });
}
