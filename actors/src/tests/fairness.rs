//! One busy user beside others, and feeds beside reads and a citizen's own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use domain::event::RegisterWrite;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::live::consent;
use super::world::{Ground, NOON, World, by_hand, citizen, income, run, user};
use crate::outlet::channel;
use crate::profile::{GetView, Request};
use crate::turn::MAX_MESSAGES;
use crate::view_cache::View;
use crate::{Options, ReadError, Reply, Status, Subscription};

/// Asks for a user's view again as soon as it is answered, in the very step that answers: the user's mailbox is never
/// empty when its actor looks at it.
struct Refill {
    number: usize,
    shared: Arc<crate::shared::Shared>,
    answered: AtomicUsize,
    stop_at: usize,
    waiting: Mutex<Vec<oneshot::Receiver<Result<View, ReadError>>>>,
}

impl Refill {
    fn new(world: &World, number: usize, stop_at: usize) -> Arc<Self> {
        let (shared, answered) = (world.shared.clone(), AtomicUsize::new(0));
        Arc::new(Self { number, shared, answered, stop_at, waiting: Mutex::default() })
    }

    fn ask(self: &Arc<Self>) {
        let (answer, receiver) = oneshot::channel();
        let mut receiver = Box::pin(receiver);
        let waker = Waker::from(Arc::clone(self));
        assert!(receiver.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        self.waiting.lock().push(*std::pin::Pin::into_inner(receiver));
        let request = Request::GetView(GetView { viewer: citizen(self.number), answer });
        self.shared.dispatch(user(self.number), request).expect("there is room");
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
        let mut world = World::start(Ground::new(), by_hand());
        world.apply(income(1, NOON, "0-2.5L")).await;
        world.apply(income(2, NOON, "0-2.5L")).await;
        // Without turns, all of it would be answered before anybody else is.
        let stop_at = 100_000;
        let refill = Refill::new(&world, 1, stop_at);
        for _ in 0..8 {
            refill.ask();
        }
        world.breathe(4).await;
        assert!(refill.answered() > 0, "the busy user is served");

        let before = refill.answered();
        let index = world.submit(income(2, NOON + 1, "2.5L-5L"));
        while world.shared.permits.taken() == 0 {
            world.breathe(1).await;
        }
        world.committer.step(false);
        let status = loop {
            match world.results.try_recv() {
                Ok(result) if result.index == index => break result.status,
                _ => world.breathe(1).await,
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
        let mut world = World::start(Ground::new(), by_hand());
        for number in 0..users {
            world.submit(income(number, NOON, "0-2.5L"));
        }
        world.settle().await;
        while world.results.try_recv().is_ok() {}
        for number in 0..users {
            world.submit(income(number, NOON + 1, "2.5L-5L"));
        }
        while world.shared.permits.taken() < users {
            world.breathe(1).await;
        }
        let refills: Vec<_> = (0..users).map(|number| Refill::new(&world, number, 100_000)).collect();
        refills.iter().for_each(Refill::ask);
        world.committer.step(false);
        let mut settled = 0;
        while settled < users {
            world.breathe(1).await;
            settled += std::iter::from_fn(|| world.results.try_recv().ok()).count();
        }
        // A turn of outcomes that is as short as that of an actor deals with 32 of them: that makes 19 rounds.
        let rounds = refills.iter().map(|refill| refill.answered()).sum::<usize>() / (users * MAX_MESSAGES as usize);
        assert!(rounds < 12, "{rounds} rounds of all busy users came before the outcomes of one group");
    });
}

fn consent_writes() -> Vec<RegisterWrite> {
    consent(0, "minimal", false).writes
}

/// As small as can be: what feeds may use is used up at once.
fn tiny() -> Options {
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

/// Submits events until one is refused, and lets them be merged, again and again, but commits nothing.
async fn fill_with_feeds(world: &mut World, number: usize) {
    for round in 0..8 {
        for step in 0..4 {
            world.submit(income(number, NOON + 10 * round + step, ["2.5L-5L", "0-2.5L"][step as usize % 2]));
        }
        world.breathe(8).await;
    }
    world.submit(income(number, NOON + 1_000, "20L+"));
}

#[test]
fn a_citizens_own_write_and_reads_have_places_that_feeds_cannot_take() {
    run(async {
        let mut world = World::start(Ground::new(), tiny());
        world.apply(income(1, NOON - 1, "0-2.5L")).await;
        fill_with_feeds(&mut world, 1).await;
        assert_eq!(world.shared.permits.taken(), 1, "feeds hold all the permits that they may have");
        for _ in 0..8 {
            let (profiles, writes) = (world.profiles.clone(), consent_writes());
            let put = async move { profiles.put_consent(user(1), writes, std::time::Instant::now()).await };
            let put = actix_rt::spawn(put);
            let profiles = world.profiles.clone();
            let view = actix_rt::spawn(async move { profiles.view(user(1), &citizen(1)).await });
            world.breathe(8).await;
            assert_eq!(view.await.expect("no panic").map(|view| view.revision), Ok(1), "a read waits for no commit");
            assert!(!put.is_finished(), "it waits for its commit");
            fill_with_feeds(&mut world, 1).await;
        }
        world.settle().await;
        let view = world.view(1, citizen(1)).await.expect("known");
        assert!(String::from_utf8_lossy(&view.body).contains(r#""data_sharing_level":"minimal""#));
    });
}

#[test]
fn so_they_have_while_users_are_loaded() {
    run(async {
        let mut world = World::start(Ground::new(), tiny());
        for number in 1..4 {
            world.submit(income(number, NOON, "0-2.5L"));
            world.submit(income(number, NOON + 1, "2.5L-5L"));
        }
        let put = |number| {
            let (profiles, writes) = (world.profiles.clone(), consent_writes());
            actix_rt::spawn(async move { profiles.put_consent(user(number), writes, std::time::Instant::now()).await })
        };
        let puts: Vec<_> = (1..4).map(put).collect();
        let profiles = world.profiles.clone();
        let view = actix_rt::spawn(async move { profiles.view(user(9), &citizen(9)).await });
        world.settle().await;
        for put in puts {
            assert!(put.await.expect("no panic").is_ok());
        }
        assert_eq!(view.await.expect("no panic").err(), Some(ReadError::Unknown), "and not busy");
    });
}

#[test]
fn while_the_checkpoint_is_behind_only_own_writes_and_reads_go_on() {
    run(async {
        let ground = Ground::new();
        let mut world = World::start(ground.clone(), Options { max_lag_bytes: 1_000, ..by_hand() });
        world.apply(income(1, NOON, "0-2.5L")).await;
        ground.ram.set_unfolded(1_000);
        let (reply, _result) = Reply::one();
        let refused = world.profiles.submit(income(1, NOON + 1, "2.5L-5L"), std::time::Instant::now(), reply);
        assert!(refused.is_err(), "the event is handed back, so that its stream can wait");
        let (profiles, writes) = (world.profiles.clone(), consent_writes());
        let put = async move { profiles.put_consent(user(1), writes, std::time::Instant::now()).await };
        assert_eq!(world.ask(put).await, Ok(Status::Applied { revision: 2 }));
        ground.set_now(NOON + super::world::DAY);
        assert!(world.view(1, citizen(1)).await.is_ok());
        ground.ram.set_unfolded(0);
        assert!(matches!(world.apply(income(1, NOON + 2, "5L-10L")).await, Status::Applied { .. }));
    });
}

#[test]
fn pending_states_are_bounded_in_bytes() {
    run(async {
        let limit = 64 << 10;
        let mut world = World::start(Ground::new(), Options { permit_bytes: limit, ..by_hand() });
        world.apply(income(1, NOON, "0-2.5L")).await;
        let mut submitted = 0;
        for step in 1..=1_000 {
            world.submit(income(1, NOON + step, ["2.5L-5L", "0-2.5L"][step as usize % 2]));
            submitted += 1;
            world.breathe(2).await;
        }
        let (pending, bytes) = (world.shared.permits.taken(), world.shared.permits.bytes());
        assert!(pending > 1 && pending < submitted, "{pending} are pending");
        assert!(bytes >= limit && bytes < limit + (16 << 10), "{bytes} bytes: one commit at most reaches beyond");
        world.settle().await;
        assert_eq!(world.shared.permits.bytes(), 0);
        assert_eq!(world.shared.waiting_bytes.taken(), 0);
    });
}

#[test]
fn a_client_that_subscribes_again_is_served_the_same_bytes() {
    run(async {
        let mut world = World::start(Ground::new(), by_hand());
        world.apply(income(1, NOON, "0-2.5L")).await;
        let mut bytes = Vec::new();
        for id in 0..3 {
            let (outlet, mut frames) = channel(8);
            let profiles = world.profiles.clone();
            let opened = {
                let outlet = outlet.clone();
                let subscription =
                    Subscription { id, viewer: citizen(1), fields: None, cursor: None, follows_on: false, outlet };
                world.ask(async move { profiles.subscribe(user(1), subscription).await }).await
            };
            assert_eq!(opened, Ok(()));
            bytes.push(frames.try_recv().expect("the first frame").message.framed().clone());
            world.profiles.unsubscribe(user(1), id, &outlet);
            world.settle().await;
        }
        assert!(bytes.iter().all(|one| one.as_ptr() == bytes[0].as_ptr()), "they are not made again");
        let view = world.view(1, citizen(1)).await.expect("known");
        assert!(String::from_utf8_lossy(&bytes[0]).contains(&*String::from_utf8_lossy(&view.body)));
        world.apply(income(1, NOON + 1, "2.5L-5L")).await;
        let (outlet, mut frames) = channel(8);
        let profiles = world.profiles.clone();
        let subscription =
            Subscription { id: 9, viewer: citizen(1), fields: None, cursor: None, follows_on: false, outlet };
        let opened = world.ask(async move { profiles.subscribe(user(1), subscription).await }).await;
        assert_eq!(opened, Ok(()));
        assert_eq!(frames.try_recv().expect("the first frame").message.revision, 2, "another revision");
    });
}
