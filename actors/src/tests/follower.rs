//! Followers, and commits that land while they read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::id::UserId;
use domain::port::log::{EventLog, LogBatch, LogError, LogPosition, NewestRecord};
use domain::port::store::StoreError;
use domain::publication::PublishedEventTypes;

use super::fixture::{Fixture, NOON, SERVICE, consent, income};
use super::harness::{Harness, by_hand, run};
use super::ram_store::RamStore;
use crate::follower::{EventBatch, Follow, StartFrom};

/// A log that shows its newest frames only after it was asked for the newest, as if they were committed while a follower
/// builds its batch.
struct LaggingLog {
    store: RamStore,
    shown: AtomicU64,
}

impl EventLog for LaggingLog {
    fn end(&self) -> LogPosition {
        LogPosition(self.shown.load(Ordering::Relaxed))
    }

    fn oldest(&self) -> LogPosition {
        self.store.oldest()
    }

    fn read(&self, from: LogPosition, up_to: LogPosition, max_bytes: usize) -> Result<LogBatch, LogError> {
        let mut batch = self.store.read(from, up_to.min(self.end()), max_bytes)?;
        // There is one user, so positions and sequences are equal.
        let end = self.end().0;
        batch.entries.iter_mut().for_each(|entry| entry.newest.sequence = entry.newest.sequence.min(end));
        Ok(batch)
    }

    fn newest(&self, user: &UserId) -> Result<NewestRecord, StoreError> {
        let newest = EventLog::newest(&self.store, user)?;
        self.shown.store(newest.sequence, Ordering::Relaxed);
        Ok(newest)
    }
}

async fn read(harness: &mut Harness) -> EventBatch {
    let profiles = harness.profiles.clone();
    let follow = Follow {
        caller: "svc:test".to_owned(),
        viewer: SERVICE,
        types: PublishedEventTypes::ALL,
        from: StartFrom::Oldest,
    };
    let mut follower = harness.ask(async move { profiles.follow(follow).await }).await.expect("it may follow");
    // The mark that moves the horizon passes the commit thread and the shard.
    harness.committer.step(false);
    harness.run_tasks(8).await;
    follower.ready().await;
    follower.read().await.expect("it reads")
}

#[test]
fn what_is_withdrawn_while_a_follower_reads_is_not_in_its_batch() {
    run(async {
        let fixture = Fixture::new();
        let mut harness = Harness::start(fixture.clone(), by_hand());
        harness.apply(consent(NOON, "standard", false)).await;
        harness.apply(income(1, NOON, "0-2.5L")).await;
        let shows = |batch: &EventBatch| batch.events.iter().any(|event| event.text.contains("0-2.5L"));
        assert!(shows(&read(&mut harness).await), "as long as it is runtime");

        let shown = AtomicU64::new(harness.fixture.store.end().0);
        harness.apply(consent(NOON + 1, "minimal", false)).await;
        let log = Arc::new(LaggingLog { store: fixture.store.clone(), shown });
        let ports = crate::Ports { log, ..fixture.ports() };
        let mut harness = Harness::start_with(fixture, ports, by_hand());
        let batch = read(&mut harness).await;
        assert!(!batch.events.is_empty() && !shows(&batch), "{:?}", batch.events);
    });
}
