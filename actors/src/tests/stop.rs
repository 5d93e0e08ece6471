//! The order in which the live state stops: nothing that was accepted is left without an answer.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use domain::port::journal::{AppendResult, Journal, JournalError, Record};
use domain::schema_version::SchemaVersion;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fixture::{Fixture, NOON, THIRD_PARTY, income, user};
use super::harness::run;
use super::ram_store::RamStore;
use crate::runtime::Runtime;
use crate::{EventResult, Options, Profiles, ReadError, Reply, Status};

/// A journal whose first commit waits for the test.
struct BlockedJournal {
    store: RamStore,
    blocked: Option<oneshot::Sender<()>>,
    go_on: mpsc::Receiver<Box<dyn FnOnce() + Send>>,
}

impl Journal for BlockedJournal {
    fn append(&mut self, group: &[Record]) -> Result<Vec<AppendResult>, JournalError> {
        if let Some(blocked) = self.blocked.take() {
            blocked.send(()).expect("the test waits");
            self.go_on.recv().expect("the test goes on")();
        }
        self.store.append(group)
    }
}

/// The live state on its own threads, with a commit that waits in the journal.
struct BlockedCommit {
    fixture: Fixture,
    profiles: Profiles,
    go_on: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    /// The result of the event whose commit waits.
    result: oneshot::Receiver<EventResult>,
}

impl BlockedCommit {
    async fn start(options: Options) -> Self {
        let fixture = Fixture::new();
        let ((blocked, is_blocked), (go_on, receiver)) = (oneshot::channel(), mpsc::channel());
        let mut ports = fixture.ports();
        let store = fixture.store.clone();
        ports.journal = Box::new(BlockedJournal { store, blocked: Some(blocked), go_on: receiver });
        let options = Options { shards: 1, hydration_threads: 1, ..options };
        let profiles = Profiles::start(options, ports).expect("threads");
        let (reply, result) = Reply::one();
        profiles.submit(income(1, NOON, "0-2.5L"), Instant::now(), reply).expect("there is room");
        is_blocked.await.expect("the event reaches the journal");
        Self { fixture, profiles, go_on, result }
    }

    /// Begins to stop, and returns when no further write is accepted.
    async fn begin_stop(&self) -> JoinHandle<bool> {
        let stopping = actix_rt::spawn(self.profiles.clone().stop());
        while self.profiles.is_ready() {
            tokio::task::yield_now().await;
        }
        stopping
    }

    /// Lets the commit go on after `work`, which runs on the commit thread.
    fn go_on_after(&self, work: impl FnOnce() + Send + 'static) {
        self.go_on.send(Box::new(work)).expect("the commit waits");
    }
}

#[test]
fn stopping_waits_for_what_is_pending() {
    run(async {
        let commit = BlockedCommit::start(Options::default()).await;
        // This one waits for its user to be loaded, and is not in the commit queue yet.
        let (reply, second) = Reply::one();
        commit.profiles.submit(income(2, NOON, "0-2.5L"), Instant::now(), reply).expect("there is room");
        let stopping = commit.begin_stop().await;
        let (reply, _result) = Reply::one();
        let late = commit.profiles.submit(income(3, NOON, "0-2.5L"), Instant::now(), reply);
        assert!(late.is_err(), "no further event is accepted");
        commit.go_on_after(|| {});
        assert!(stopping.await.expect("no panic"));
        for (number, result) in [(1, commit.result), (2, second)] {
            assert_eq!(result.await.expect("an answer").status, Status::Applied { revision: 1 }, "user {number}");
            assert_eq!(commit.fixture.store.frames(&user(number)), 1);
        }
    });
}

/// Waits until the hydration threads may have ended. They must not end before the commit thread, so this takes its whole
/// time unless the order is wrong.
fn give_hydration_time_to_end(runtime: &Runtime) {
    let deadline = Instant::now() + Duration::from_millis(100);
    while !runtime.loads.is_closed() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    if runtime.loads.is_closed() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_commit_thread_ends_before_the_hydration_threads_so_that_what_it_hands_on_is_still_answered() {
    run(async {
        let commit = BlockedCommit::start(Options { drain_timeout: Duration::ZERO, ..Options::default() }).await;
        let runtime = Arc::clone(commit.profiles.runtime());
        let profiles = commit.profiles.clone();
        let question =
            actix_rt::spawn(async move { profiles.view(user(9), &THIRD_PARTY, SchemaVersion::NEWEST).await.err() });
        while runtime.look_ups.taken() == 0 {
            tokio::task::yield_now().await;
        }
        let stopping = commit.begin_stop().await;
        commit.go_on_after(move || give_hydration_time_to_end(&runtime));
        assert!(!stopping.await.expect("no panic"), "the drain had no time");
        let answer = tokio::time::timeout(Duration::from_secs(10), question).await;
        let answer = answer.expect("the look-up behind the commit is answered").expect("no panic");
        assert_eq!(answer, Some(ReadError::Unknown));
    });
}

#[test]
fn an_event_whose_user_gets_no_actor_any_more_is_answered_busy() {
    run(async {
        let commit = BlockedCommit::start(Options { drain_timeout: Duration::ZERO, ..Options::default() }).await;
        let (reply, result) = Reply::one();
        commit.profiles.submit(income(2, NOON, "0-2.5L"), Instant::now(), reply).expect("there is room");
        let stopping = commit.begin_stop().await;
        commit.go_on_after(|| {});
        assert!(!stopping.await.expect("no panic"), "the drain had no time");
        let answered = async |result: oneshot::Receiver<EventResult>| {
            let result = tokio::time::timeout(Duration::from_secs(10), result).await;
            result.expect("it is answered").expect("a result").status
        };
        // The shard may or may not have seen the outcome before it ended.
        let first = answered(commit.result).await;
        assert!(matches!(first, Status::Busy | Status::Applied { revision: 1 }), "{first:?}");
        assert_eq!(answered(result).await, Status::Busy);
        assert_eq!(commit.fixture.store.frames(&user(1)), 1, "durable, whether or not it was acknowledged");
        assert_eq!(commit.profiles.runtime().roster.starting(), 0);
    });
}
