//! Erasure: reads end, subscribers and followers learn of it, and a registration begins the next generation.

use std::sync::Arc;
use std::time::Instant;

use domain::access::Viewer;
use domain::erasure::ErasureReason;
use domain::event::{FeedEvent, RegisterPath};
use domain::id::UserId;
use domain::port::erasure::ErasedUser;
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};
use domain::publication::PublishedEventTypes;
use domain::schema_version::SchemaVersion;
use domain::source::Source;
use domain::table::Leaf;
use serde_json::Value;

use super::fixture::{Fixture, NOON, SERVICE, THIRD_PARTY, citizen, event, income, user};
use super::harness::{Harness, by_hand, run};
use super::ram_store::{Fate, RamStore};
use crate::follower::{Follow, StartFrom};
use crate::outlet::{FrameKind, channel};
use crate::{EraseError, Options, Profiles, ReadError, Reply, Status, Subscription, View, WriteError};

/// The first event of a citizen after an erasure.
fn registration(number: usize, time: i64) -> FeedEvent {
    let path = RegisterPath::Leaf(Leaf::IdentityGender);
    let event = event(user(number), &format!("register-{time}"), time, Source::Identity, &[(path, Some("\"female\""))]);
    FeedEvent { registration: true, ..event }
}

async fn apply(profiles: &Profiles, event: FeedEvent) -> Status {
    let (reply, result) = Reply::one();
    profiles.submit(event, Instant::now(), reply).expect("there is room");
    result.await.expect("an answer").status
}

async fn view(profiles: &Profiles, viewer: Viewer) -> Result<View, ReadError> {
    profiles.view(user(1), &viewer, SchemaVersion::NEWEST).await
}

async fn erase(profiles: &Profiles) -> Result<ErasedUser, EraseError> {
    profiles.erase(user(1), ErasureReason::Citizen).await
}

fn options() -> Options {
    Options { shards: 1, ..Options::default() }
}

#[test]
fn an_erased_user_is_gone_for_readers_and_writers_until_a_later_registration() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        assert_eq!(erase(&profiles).await, Err(EraseError::Unknown));
        apply(&profiles, income(1, NOON, "0-2.5L")).await;
        apply(&profiles, income(1, NOON + 1, "2.5L-5L")).await;
        view(&profiles, citizen(1)).await.expect("visible, and cached");
        view(&profiles, SERVICE).await.expect("visible, and cached");

        fixture.set_now(NOON + 100);
        let erased = erase(&profiles).await.expect("erased");
        let tombstone = erased.tombstone;
        assert_eq!((tombstone.generation, tombstone.last_revision, tombstone.last_sequence), (1, 2, 3));
        assert_eq!(tombstone.erased_at, NOON + 100);
        assert_eq!(erase(&profiles).await, Ok(erased), "a second time");
        profiles.live_memory().forget(&erased).expect("forgotten");
        for restarted in [false, true] {
            let profiles = if restarted {
                assert!(profiles.clone().stop().await);
                Profiles::start(options(), fixture.ports()).expect("threads")
            } else {
                profiles.clone()
            };
            assert_eq!(view(&profiles, citizen(1)).await.err(), Some(ReadError::Erased));
            assert_eq!(view(&profiles, SERVICE).await.err(), Some(ReadError::Erased));
            assert_eq!(view(&profiles, THIRD_PARTY).await.err(), Some(ReadError::Unknown));
            assert_eq!(erase(&profiles).await, Ok(erased));
            assert_eq!(apply(&profiles, income(1, NOON + 200, "5L-10L")).await, Status::Erased);
            assert_eq!(apply(&profiles, registration(1, NOON + 100)).await, Status::Erased, "from before the erasure");
            assert_eq!(profiles.put_consent(user(1), Vec::new(), Instant::now()).await, Err(WriteError::Erased));
            if restarted {
                assert_eq!(apply(&profiles, registration(1, NOON + 101)).await, Status::Applied { revision: 3 });
                let view = view(&profiles, citizen(1)).await.expect("visible");
                assert_eq!((view.revision, view.generation), (3, 2));
                let document: Value = serde_json::from_slice(&view.body).expect("JSON");
                assert_eq!(document.pointer("/economic"), None, "nothing of the last generation");
                assert_eq!(apply(&profiles, income(1, NOON + 100, "5L-10L")).await, Status::Erased, "a late event");
                assert_eq!(apply(&profiles, income(1, NOON + 300, "5L-10L")).await, Status::Applied { revision: 4 });
                assert!(profiles.stop().await);
            }
        }
        // The next start replays the second generation alone.
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        assert_eq!(view(&profiles, citizen(1)).await.expect("visible").revision, 4);
        assert_eq!(erase(&profiles).await.expect("erased").tombstone.generation, 2);
        assert!(profiles.stop().await);
    });
}

#[test]
fn an_event_whose_time_was_ahead_of_the_clock_does_not_come_back_after_the_erasure() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        let ahead = fixture.now() + 240_000_000;
        for first in [registration(1, ahead), income(1, ahead + 5, "0-2.5L")] {
            assert!(matches!(apply(&profiles, first).await, Status::Applied { .. }));
        }
        let erased_at = erase(&profiles).await.expect("erased").tombstone.erased_at;
        assert_eq!(erased_at, ahead + 5, "no event of the generation is later");
        for again in [registration(1, ahead), income(1, ahead + 5, "0-2.5L")] {
            assert_eq!(apply(&profiles, again).await, Status::Erased, "an event of the erased life");
        }
        let begun = apply(&profiles, registration(1, ahead + 6)).await;
        assert_eq!(begun, Status::Applied { revision: 3 });
        assert_eq!(
            apply(&profiles, income(1, ahead + 5, "0-2.5L")).await,
            Status::Erased,
            "after the registration, too"
        );
        assert!(profiles.stop().await);
    });
}

#[test]
fn what_waits_for_an_erasure_is_answered_when_it_is_durable() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        harness.set_fate(Fate::NotTaken);
        let profiles = harness.profiles.clone();
        let failed = harness.ask(async move { erase(&profiles).await }).await;
        assert_eq!(failed, Err(EraseError::Busy));
        harness.view(1, citizen(1)).await.expect("the user lives");

        let (first, second) = (harness.profiles.clone(), harness.profiles.clone());
        let both = async move { tokio::join!(erase(&first), erase(&second)) };
        let (first, second) = harness.ask(both).await;
        assert_eq!(first, second);
        assert!(first.is_ok());
        assert_eq!(harness.fixture.store.frames(&user(1)), 2, "one erasure");
        assert_eq!(harness.view(1, citizen(1)).await.err(), Some(ReadError::Erased));
    });
}

#[test]
fn subscribers_get_erased_as_their_last_frame() {
    run(async {
        let mut harness = Harness::start(Fixture::new(), by_hand());
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let (sender, mut receiver) = channel(4);
        let (profiles, outlet) = (harness.profiles.clone(), sender.clone());
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
        harness.ask(async move { profiles.subscribe(user(1), subscription).await }).await.expect("visible");
        harness.apply(income(1, NOON + 1, "2.5L-5L")).await;
        let profiles = harness.profiles.clone();
        harness.ask(async move { erase(&profiles).await }).await.expect("erased");
        let frames: Vec<_> = std::iter::from_fn(|| receiver.try_recv()).collect();
        let kinds: Vec<_> = frames.iter().map(|frame| frame.message.kind).collect();
        assert_eq!(kinds, [FrameKind::Erased], "frames with data are taken back");
        let text: Value = serde_json::from_slice(frames[0].message.text()).expect("JSON");
        assert_eq!(text, serde_json::json!({"type": "erased", "user_id": user(1).as_str()}));
        harness.apply(registration(1, harness.fixture.now() + 1)).await;
        assert!(receiver.try_recv().is_none(), "the next generation is not the subscriber's");
    });
}

#[test]
fn followers_learn_of_the_erasure_and_of_nothing_before_it() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        apply(&profiles, income(1, NOON, "0-2.5L")).await;
        erase(&profiles).await.expect("erased");
        apply(&profiles, registration(1, fixture.now() + 1)).await;
        let follow = |viewer| Follow {
            caller: "svc:test".to_owned(),
            viewer,
            types: PublishedEventTypes::ALL,
            from: StartFrom::Oldest,
        };
        for (viewer, expected) in [(SERVICE, &["profile.erased", "profile.assembled"][..]), (THIRD_PARTY, &[])] {
            let mut follower = profiles.follow(follow(viewer)).await.expect("it may follow");
            follower.ready().await;
            let events = follower.read().await.expect("it reads").events;
            let mut kinds: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
            kinds.retain(|kind| ["profile.erased", "profile.assembled"].contains(kind));
            assert_eq!(kinds, expected);
        }
        assert!(profiles.stop().await);
    });
}

/// A store in which user 1 is damaged until it is erased.
struct DamagedStore(RamStore);

impl ProfileStore for DamagedStore {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        match self.0.load(user, visitor)? {
            Some(LoadedUser::Living { .. }) => Err(StoreError::Damaged { what: "injected".to_owned() }),
            found => Ok(found),
        }
    }

    fn load_history(
        &self,
        user: &UserId,
        _: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        self.load(user, visitor)
    }
}

#[test]
fn a_user_whose_state_is_damaged_can_be_erased() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        apply(&profiles, income(1, NOON, "0-2.5L")).await;
        assert!(profiles.stop().await);
        let ports = crate::Ports { store: Arc::new(DamagedStore(fixture.store.clone())), ..fixture.ports() };
        let profiles = Profiles::start(options(), ports).expect("threads");
        assert_eq!(view(&profiles, citizen(1)).await.err(), Some(ReadError::Unavailable));
        assert_eq!(apply(&profiles, income(1, NOON + 1, "2.5L-5L")).await, Status::Busy);
        let tombstone = erase(&profiles).await.expect("erased").tombstone;
        assert_eq!((tombstone.generation, tombstone.last_revision, tombstone.last_sequence), (1, 2, 2));
        assert_eq!(tombstone.erased_at, fixture.now() + 300_000_000, "its events may have been ahead of the clock");
        assert_eq!(view(&profiles, citizen(1)).await.err(), Some(ReadError::Erased));
        assert!(profiles.stop().await);
    });
}
