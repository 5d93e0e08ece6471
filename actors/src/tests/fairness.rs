//! Fairness between one busy user and the others, and between feeds, reads and a citizen's own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use domain::event::RegisterWrite;
use domain::schema_version::SchemaVersion;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::fixture::{DAY, Fixture, NOON, citizen, consent, income, user};
use super::harness::{Harness, by_hand, run};
use crate::outlet::channel;
use crate::request::{CommittedHead, GetHead, Request};
use crate::turn::MAX_MESSAGES;
use crate::{Options, ReadError, Reply, Status, Subscription};

/// Asks for a user's head again as soon as it is answered, in the call that answers. So the user's mailbox is never empty
/// when its actor looks at it.
struct Refill {
    number: usize,
    runtime: Arc<crate::runtime::Runtime>,
    answered: AtomicUsize,
    stop_at: usize,
    waiting: Mutex<Vec<oneshot::Receiver<Result<CommittedHead, ReadError>>>>,
}

impl Refill {
    fn new(harness: &Harness, number: usize, stop_at: usize) -> Arc<Self> {
        let (runtime, answered) = (harness.runtime.clone(), AtomicUsize::new(0));
        Arc::new(Self { number, runtime, answered, stop_at, waiting: Mutex::default() })
    }

    fn ask(self: &Arc<Self>) {
        let (answer, receiver) = oneshot::channel();
        let mut receiver = Box::pin(receiver);
        let waker = Waker::from(Arc::clone(self));
        assert!(receiver.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        self.waiting.lock().push(*std::pin::Pin::into_inner(receiver));
        let request = Request::GetHead(GetHead { answer });
        self.runtime.dispatch(user(self.number), request).expect("there is room");
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Wake for Refill {
    fn wake(self: Arc<Self>) {
        if self.answered.fetch_add(1, Ordering::Relaxed) < self.stop_at {
            self.ask();
        }
    }
}

#[test]
fn a_mailbox_that_is_never_empty_keeps_no_other_actor_and_no_outcome_of_the_shard_waiting() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.apply(income(2, NOON, "0-2.5L")).await;
        // Without turns, all of these would be answered before any other user.
        let stop_at = 100_000;
        let refill = Refill::new(&harness, 1, stop_at);
        for _ in 0..8 {
            refill.ask();
        }
        harness.run_tasks(4).await;
        assert!(refill.answered() > 0, "the busy user is served");

        let before = refill.answered();
        let index = harness.submit(income(2, NOON + 1, "2.5L-5L"));
        while harness.runtime.services.permits.taken() == 0 {
            harness.run_tasks(1).await;
        }
        harness.committer.step(false);
        let status = loop {
            match harness.results.try_recv() {
                Ok(result) if result.index == index => break result.status,
                _ => harness.run_tasks(1).await,
            }
        };
        assert_eq!(status, Status::Applied { revision: 2 });
        let meanwhile = refill.answered() - before;
        assert!(meanwhile <= 16 * MAX_MESSAGES as usize, "{meanwhile} messages came before one of another user");
        assert!(refill.answered() < stop_at, "the mailbox was never empty");
    });
}

#[test]
fn outcomes_do_not_wait_for_a_turn_of_every_busy_user_again_and_again() {
    run(async {
        let users = 600;
        let mut harness = Harness::start(Fixture::new(), by_hand());
        for number in 0..users {
            harness.submit(income(number, NOON, "0-2.5L"));
        }
        harness.settle().await;
        while harness.results.try_recv().is_ok() {}
        for number in 0..users {
            harness.submit(income(number, NOON + 1, "2.5L-5L"));
        }
        while harness.runtime.services.permits.taken() < users {
            harness.run_tasks(1).await;
        }
        let refills: Vec<_> = (0..users).map(|number| Refill::new(&harness, number, 100_000)).collect();
        refills.iter().for_each(Refill::ask);
        harness.committer.step(false);
        let mut settled = 0;
        while settled < users {
            harness.run_tasks(1).await;
            settled += std::iter::from_fn(|| harness.results.try_recv().ok()).count();
        }
        // A turn of outcomes as short as that of an actor deals with 32 of them, which would take 19 rounds.
        let rounds = refills.iter().map(|refill| refill.answered()).sum::<usize>() / (users * MAX_MESSAGES as usize);
        assert!(rounds < 12, "{rounds} rounds of all busy users came before the outcomes of one group");
    });
}

fn consent_writes() -> Vec<RegisterWrite> {
    consent(0, "minimal", false).writes
}

/// Returns the smallest limits, which feeds reach at once.
fn smallest_limits() -> Options {
    Options {
        mailbox_capacity: 1,
        commit_permits: 1,
        permit_bytes: 1,
        commit_queue_capacity: 1,
        commit_queue_bytes: 1,
        hydration_queue: 1,
        waiting_bytes: 1,
        ..by_hand()
    }
}

/// Submits and merges events until feeds have reached every limit. Commits nothing.
async fn fill_with_feeds(harness: &mut Harness, number: usize) {
    for round in 0..8 {
        for step in 0..4 {
            harness.submit(income(number, NOON + 10 * round + step, ["2.5L-5L", "0-2.5L"][step as usize % 2]));
        }
        harness.run_tasks(8).await;
    }
    harness.submit(income(number, NOON + 1_000, "20L+"));
}

#[test]
fn a_citizens_own_write_and_reads_have_places_that_feeds_cannot_take() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), smallest_limits());
        harness.apply(income(1, NOON - 1, "0-2.5L")).await;
        fill_with_feeds(&mut harness, 1).await;
        assert_eq!(harness.runtime.services.permits.taken(), 1, "feeds hold all permits of their limit");
        for _ in 0..8 {
            let (profiles, writes) = (harness.profiles.clone(), consent_writes());
            let put = async move { profiles.put_consent(user(1), writes, std::time::Instant::now()).await };
            let put = actix_rt::spawn(put);
            let profiles = harness.profiles.clone();
            let view = actix_rt::spawn(async move { profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await });
            harness.run_tasks(8).await;
            assert_eq!(view.await.expect("no panic").map(|view| view.revision), Ok(1), "a read waits for no commit");
            assert!(!put.is_finished(), "it waits for its commit");
            fill_with_feeds(&mut harness, 1).await;
        }
        harness.settle().await;
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert!(String::from_utf8_lossy(&view.body).contains(r#""data_sharing_level":"minimal""#));
    });
}

#[test]
fn own_writes_and_reads_have_places_for_users_that_are_loaded_too() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), smallest_limits());
        for number in 1..4 {
            harness.submit(income(number, NOON, "0-2.5L"));
            harness.submit(income(number, NOON + 1, "2.5L-5L"));
        }
        let put = |number| {
            let (profiles, writes) = (harness.profiles.clone(), consent_writes());
            actix_rt::spawn(async move { profiles.put_consent(user(number), writes, std::time::Instant::now()).await })
        };
        let puts: Vec<_> = (1..4).map(put).collect();
        let profiles = harness.profiles.clone();
        let view = actix_rt::spawn(async move { profiles.view(user(9), &citizen(9), SchemaVersion::NEWEST).await });
        harness.settle().await;
        for put in puts {
            assert!(put.await.expect("no panic").is_ok());
        }
        assert_eq!(view.await.expect("no panic").err(), Some(ReadError::Unknown), "and not busy");
    });
}

#[test]
fn while_the_checkpoint_is_behind_only_own_writes_and_reads_go_on() {
    run(async {
        let fixture = Fixture::new();
        let mut harness = Harness::start(fixture.clone(), Options { max_lag_bytes: 1_000, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        fixture.store.set_unfolded(1_000);
        let (reply, _result) = Reply::one();
        let refused = harness.profiles.submit(income(1, NOON + 1, "2.5L-5L"), std::time::Instant::now(), reply);
        assert!(refused.is_err(), "the event is handed back, so that its stream can wait");
        let (profiles, writes) = (harness.profiles.clone(), consent_writes());
        let put = async move { profiles.put_consent(user(1), writes, std::time::Instant::now()).await };
        assert_eq!(harness.ask(put).await, Ok(Status::Applied { revision: 2 }));
        fixture.set_now(NOON + DAY);
        assert!(harness.view(1, citizen(1)).await.is_ok());
        fixture.store.set_unfolded(0);
        assert!(matches!(harness.apply(income(1, NOON + 2, "5L-10L")).await, Status::Applied { .. }));
    });
}

#[test]
fn pending_states_are_bounded_in_bytes() {
    run(async {
        let limit = 64 << 10;
        let mut harness = Harness::start(Fixture::new(), Options { permit_bytes: limit, ..by_hand() });
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let mut submitted = 0;
        for step in 1..=1_000 {
            harness.submit(income(1, NOON + step, ["2.5L-5L", "0-2.5L"][step as usize % 2]));
            submitted += 1;
            harness.run_tasks(2).await;
        }
        let (pending, bytes) = (harness.runtime.services.permits.taken(), harness.runtime.services.permits.bytes());
        assert!(pending > 1 && pending < submitted, "{pending} are pending");
        assert!(bytes >= limit && bytes < limit + (16 << 10), "{bytes} bytes: one commit at most reaches beyond");
        harness.settle().await;
        assert_eq!(harness.runtime.services.permits.bytes(), 0);
        assert_eq!(harness.runtime.waiting_bytes.taken(), 0);
    });
}

#[test]
fn a_client_that_subscribes_again_is_served_the_same_bytes() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let mut bytes = Vec::new();
        for id in 0..3 {
            let (outlet, mut frames) = channel(8);
            let profiles = harness.profiles.clone();
            let opened = {
                let outlet = outlet.clone();
                let subscription = Subscription {
                    id,
                    viewer: citizen(1),
                    fields: None,
                    schema: SchemaVersion::NEWEST,
                    names_sources: false,
                    cursor: None,
                    followed_before: false,
                    outlet,
                };
                harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await
            };
            assert_eq!(opened, Ok(()));
            bytes.push(frames.try_recv().expect("the first frame").message.framed().clone());
            harness.profiles.unsubscribe(user(1), id, &outlet);
            harness.settle().await;
        }
        assert!(bytes.iter().all(|one| one.as_ptr() == bytes[0].as_ptr()), "they are not made again");
        let view = harness.view(1, citizen(1)).await.expect("known");
        assert!(String::from_utf8_lossy(&bytes[0]).contains(&*String::from_utf8_lossy(&view.body)));
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        let (outlet, mut frames) = channel(8);
        let profiles = harness.profiles.clone();
        let subscription = Subscription {
            id: 9,
            viewer: citizen(1),
            fields: None,
            schema: SchemaVersion::NEWEST,
            names_sources: false,
            cursor: None,
            followed_before: false,
            outlet,
        };
        let opened = harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await;
        assert_eq!(opened, Ok(()));
        assert_eq!(frames.try_recv().expect("the first frame").message.revision, 2, "another revision");
    });
}
