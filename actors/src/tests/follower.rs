//! Followers beside what happens while they read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::id::UserId;
use domain::port::log::{EventLog, LogBatch, LogError, LogPosition};
use domain::port::store::StoreError;
use domain::publication::PublishedEventTypes;

use super::live::consent;
use super::ram::Ram;
use super::world::{Ground, NOON, SERVICE, World, by_hand, income, run};
use crate::follower::{Batch, Follow, From};

/// A log whose newest frames show only once it is asked for the newest: as if they came while a follower composes.
struct Behind {
    ram: Ram,
    shown: AtomicU64,
}

impl EventLog for Behind {
    fn end(&self) -> LogPosition {
        LogPosition(self.shown.load(Ordering::Relaxed))
    }

    fn oldest(&self) -> LogPosition {
        self.ram.oldest()
    }

    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError> {
        let mut batch = self.ram.read(from, up_to.min(self.end()), max_bytes)?;
        // There is one user, so places and sequences count the same.
        batch.entries.iter_mut().for_each(|entry| entry.newest = entry.newest.min(self.end().0));
        Ok(batch)
    }

    fn newest(&self, user: &UserId) -> Result<u64, StoreError> {
        let newest = self.ram.newest(user)?;
        self.shown.store(newest, Ordering::Relaxed);
        Ok(newest)
    }
}

async fn read(world: &mut World) -> Batch {
    let profiles = world.profiles.clone();
    let follow =
        Follow { caller: "svc:test".to_owned(), viewer: SERVICE, types: PublishedEventTypes::ALL, from: From::Oldest };
    let mut follower = world.ask(async move { profiles.follow(follow).await }).await.expect("it may follow");
    // The mark that it waits for passes the commit thread and the shard.
    world.committer.step(false);
    world.breathe(8).await;
    follower.ready().await;
    follower.read().await.expect("it reads")
}

#[test]
fn what_is_withdrawn_while_a_follower_reads_is_not_in_what_it_is_handed() {
    run(async {
        let ground = Ground::new();
        let mut world = World::start(ground.clone(), by_hand());
        world.apply(consent(NOON, "standard", false)).await;
        world.apply(income(1, NOON, "0-2.5L")).await;
        let shows = |batch: &Batch| batch.events.iter().any(|event| event.text.contains("0-2.5L"));
        assert!(shows(&read(&mut world).await), "as long as it is shared");

        let shown = AtomicU64::new(world.ground.ram.end().0);
        world.apply(consent(NOON + 1, "minimal", false)).await;
        let log = Arc::new(Behind { ram: ground.ram.clone(), shown });
        let ports = crate::Ports { log, ..ground.ports() };
        let mut world = World::start_with(ground, ports, by_hand());
        let batch = read(&mut world).await;
        assert!(!batch.events.is_empty() && !shows(&batch), "{:?}", batch.events);
    });
}
