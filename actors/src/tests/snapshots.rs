//! Snapshots: acknowledged only when durable, limited, and none after a failed commit.

use std::time::Instant;

use domain::snapshot::SnapshotTrigger;

use super::fixture::{DAY, Fixture, NOON, citizen, income, user};
use super::harness::run;
use super::ram_store::Fate;
use crate::snapshots::{SnapshotError, SnapshotPosition};
use crate::{Options, Profiles, ReadError, Reply};

async fn apply(profiles: &Profiles, time: i64, bracket: &str) {
    let (reply, result) = Reply::one();
    profiles.submit(income(1, time, bracket), Instant::now(), reply).expect("there is room");
    result.await.expect("an answer");
}

async fn take(profiles: &Profiles) -> Result<u64, SnapshotError> {
    let taken = profiles.take_snapshot(user(1), &citizen(1), SnapshotTrigger::Manual, true).await;
    taken.map(|taken| taken.snapshot.revision)
}

async fn listed(profiles: &Profiles, after: Option<SnapshotPosition>) -> Vec<u64> {
    let page = profiles.snapshots(user(1), &citizen(1), (after, 200), true).await.expect("known");
    page.items.iter().map(|snapshot| snapshot.revision).collect()
}

#[test]
fn a_snapshot_is_a_frame_without_a_revision_and_a_restart_finds_it() {
    run(async {
        let fixture = Fixture::new();
        let options = || Options { shards: 1, max_snapshots: 3, ..Options::default() };
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        assert_eq!(take(&profiles).await, Err(SnapshotError::Read(ReadError::Unknown)));
        apply(&profiles, NOON, "0-2.5L").await;
        assert_eq!(take(&profiles).await, Ok(1));
        assert_eq!(fixture.store.frames(&user(1)), 2);
        apply(&profiles, NOON + 1, "2.5L-5L").await;
        fixture.set_now(NOON + 1_000_000);
        assert_eq!((take(&profiles).await, take(&profiles).await), (Ok(2), Ok(2)));
        assert_eq!(take(&profiles).await, Err(SnapshotError::TooMany { limit: 3 }));
        assert_eq!(listed(&profiles, None).await, [2, 2, 1]);
        assert!(profiles.stop().await);
        let profiles = Profiles::start(options(), fixture.ports()).expect("threads");
        assert_eq!(listed(&profiles, None).await, [2, 2, 1]);
        let page = profiles.snapshots(user(1), &citizen(1), (None, 1), true).await.expect("known");
        assert_eq!(listed(&profiles, page.next).await.len(), 2);
        let id = page.items[0].id;
        assert_eq!(profiles.remove_snapshot(user(1), &citizen(1), id).await, Ok(()));
        assert_eq!(profiles.remove_snapshot(user(1), &citizen(1), id).await, Err(SnapshotError::Unknown));
        assert_eq!(take(&profiles).await, Ok(2), "there is room for another one");
        fixture.set_now(NOON + 31 * DAY);
        assert_eq!(
            listed(&profiles, None).await.len(),
            2,
            "of those that have expired, the newest is left, and there is a daily one"
        );
        assert!(profiles.stop().await);
    });
}

#[test]
fn a_snapshot_whose_commit_fails_is_not_acknowledged() {
    run(async {
        let fixture = Fixture::new();
        let profiles = Profiles::start(Options { shards: 1, ..Options::default() }, fixture.ports()).expect("threads");
        apply(&profiles, NOON, "0-2.5L").await;
        fixture.store.set_fate(Fate::NotTaken);
        assert_eq!(take(&profiles).await, Err(SnapshotError::Read(ReadError::Busy)));
        assert_eq!(listed(&profiles, None).await, [0; 0]);
        assert_eq!(take(&profiles).await, Ok(1));
        assert_eq!(listed(&profiles, None).await, [1]);
        assert!(profiles.stop().await);
    });
}
