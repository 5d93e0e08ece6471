//! The path of an event on the real threads: submitted, committed, answered and read.

use std::time::{Duration, Instant};

use domain::event::RegisterPath;
use domain::schema_version::SchemaVersion;
use domain::source::{Source, ValueKind};
use domain::table::Leaf;
use tokio::sync::mpsc;

use super::fixture::{Fixture, NOON, citizen, income, user};
use super::harness::run;
use super::random::SeededRandom;
use crate::{Options, Profiles, ReadError, Reply, Status};

#[test]
fn what_is_acknowledged_is_durable_and_read() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(Options { shards: 2, ..Options::default() }, fixture.ports()).expect("threads");
        assert_eq!(profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.err(), Some(ReadError::Unknown));

        let (reply, result) = Reply::one();
        profiles.submit(income(1, NOON, "0-2.5L"), Instant::now(), reply).expect("there is room");
        assert_eq!(result.await.expect("an answer").status, Status::Applied { revision: 1 });
        assert_eq!(fixture.store.frames(&user(1)), 1);

        let view = profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.expect("known");
        assert!(!view.cache_hit);
        let text = String::from_utf8(view.body.to_vec()).expect("JSON");
        assert!(text.contains(r#""economic":{"income_bracket":"0-2.5L"}"#), "{text}");
        let again = profiles.view(user(1), &citizen(1), SchemaVersion::NEWEST).await.expect("known");
        assert!(again.cache_hit);
        assert_eq!(again.body, view.body);
        assert_eq!(profiles.observe().await.live_actors, 1);
        assert!(profiles.stop().await);
    });
}

#[test]
fn thousands_of_events_over_one_channel_each_get_one_result_and_a_restart_finds_them() {
    run(async {
        const USERS: usize = 50;
        const EVENTS: usize = 40;
        let fixture = Fixture::new();
        let profiles = Profiles::start(Options { shards: 2, ..Options::default() }, fixture.ports()).expect("threads");
        let (sender, mut results) = mpsc::unbounded_channel();
        for index in 0..USERS * EVENTS {
            let bracket = ["0-2.5L", "2.5L-5L"][index / USERS % 2];
            let event = income(index % USERS, NOON - 1_000 + (index / USERS) as i64, bracket);
            let mut reply = Reply::stream(index as u64, sender.clone());
            while let Err((_, back)) = profiles.submit(event.clone(), Instant::now(), reply) {
                reply = back;
                tokio::task::yield_now().await;
            }
        }
        let mut seen = vec![None; USERS * EVENTS];
        for _ in 0..USERS * EVENTS {
            let result = results.recv().await.expect("a result for each");
            assert_eq!(seen[result.index as usize].replace(result.status), None);
        }
        // Order per user was kept, so every event changed the profile.
        for (index, status) in seen.into_iter().enumerate() {
            assert_eq!(status, Some(Status::Applied { revision: (index / USERS) as u64 + 1 }), "event {index}");
        }
        assert!(profiles.stop().await);

        let profiles = Profiles::start(Options { shards: 3, ..Options::default() }, fixture.ports()).expect("threads");
        for number in 0..USERS {
            let view = profiles.view(user(number), &citizen(number), SchemaVersion::NEWEST).await.expect("known");
            assert_eq!(view.revision, EVENTS as u64);
        }
        assert!(profiles.stop().await);
    });
}

/// Covers races that the model, on one thread, cannot have: threads that send while actors are passivated, panic and are
/// hydrated.
#[test]
fn under_churn_on_real_threads_nothing_is_lost_forked_or_left_without_an_answer() {
    const USERS: usize = 10;
    const THREADS: usize = 3;
    const EVENTS: usize = 3_000;
    run(async {
        let options = Options {
            shards: 2,
            mailbox_capacity: 4,
            commit_permits: 64,
            commit_queue_capacity: 64,
            max_group: 16,
            max_live_actors: 4,
            hydration_queue: 6,
            idle_passivate: Duration::ZERO,
            tick: Duration::from_millis(1),
            hot_actors_per_shard: 1,
            ..Options::default()
        };
        let of = |index: usize| {
            income(index % USERS, NOON - 1_000_000 + index as i64, ["0-2.5L", "20L+"][index / USERS % 2])
        };
        let fixture = Fixture::new();
        let profiles = Profiles::start(options, fixture.ports()).expect("threads");
        let (sender, mut results) = mpsc::unbounded_channel();
        let senders = (0..THREADS).map(|thread| {
            let (profiles, sender) = (profiles.clone(), sender.clone());
            std::thread::spawn(move || {
                let mut random = SeededRandom(thread as u64);
                for index in (thread..THREADS * EVENTS).step_by(THREADS) {
                    let mut reply = Reply::stream(index as u64, sender.clone());
                    // After that, the reply is dropped, which answers busy.
                    for _ in 0..100 {
                        match profiles.submit(of(index), Instant::now(), reply) {
                            Ok(()) => break,
                            Err((_, back)) => reply = back,
                        }
                        std::thread::yield_now();
                    }
                    if random.one_in(100) {
                        profiles.panic_actor(&of(index).user);
                    }
                }
            })
        });
        let senders: Vec<_> = senders.collect();
        let (mut busy, mut acknowledged) = (0, [0; USERS]);
        for _ in 0..THREADS * EVENTS {
            let result =
                tokio::time::timeout(Duration::from_secs(60), results.recv()).await.expect("each has a result");
            let result = result.expect("the test holds a sender");
            let newest = &mut acknowledged[result.index as usize % USERS];
            match result.status {
                Status::Busy => busy += 1,
                _ => *newest = of(result.index as usize).time.max(*newest),
            }
        }
        senders.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!(busy < THREADS * EVENTS / 2, "hardly anything was taken: {busy} were busy");
        assert!(profiles.stop().await);
        assert_eq!(fixture.store.refused(), 0, "no two incarnations wrote side by side");
        for (number, newest) in acknowledged.into_iter().enumerate() {
            let states = fixture.store.states(&user(number), Vec::new());
            let income = RegisterPath::Leaf(Leaf::EconomicIncomeBracket);
            let head = states.last().expect("known");
            let register = head.documents.get(Source::Metadata, &income, ValueKind::Verified).expect("written");
            assert!(register.time >= newest, "an acknowledged event is lost");
            let revisions = states.iter().map(|state| state.envelope.revision);
            assert!(revisions.clone().zip(revisions.skip(1)).all(|(one, next)| next == one || next == one + 1));
        }
    });
}
