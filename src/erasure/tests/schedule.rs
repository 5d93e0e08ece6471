//! Erasures that can be undone for some days.

use std::sync::atomic::Ordering;

use domain::erasure::ErasureReason;
use domain::port::audit::{AuditCategory, AuditEntry, AuditLog};
use domain::port::erasure::StoredUser;

use super::super::erasures::{ErasureError, KnownErasure};
use super::super::job::{ErasureJob, JobStage};
use super::super::proof::{SCHEDULE_ACTION, UNDO_ACTION};
use super::fixture::{DAY, Disk, NOW, Started, origin, user};

async fn schedule(server: &Started, days: u32) -> i64 {
    server.erasures.schedule(user(), ErasureReason::Citizen, origin(), days).await.expect("scheduled")
}

/// Lets what is due be done.
async fn settle(server: &Started, disk: &Disk, jobs: usize) {
    for _ in 0..1_000 {
        server.erasures.tick();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        if disk.jobs() == jobs {
            return;
        }
    }
    panic!("what is due was not done");
}

#[tokio::test]
async fn a_scheduled_erasure_hides_at_once_over_restarts_and_can_be_undone() {
    let disk = Disk::new();
    let server = disk.start();
    assert_eq!(schedule(&server, 30).await, NOW + 30 * DAY);
    assert!(server.is_blocked());
    assert_eq!(server.changes.load(Ordering::Relaxed), 1, "live clients follow");
    let server = disk.start();
    server.erasures.resume().await;
    server.erasures.tick();
    assert!(server.is_blocked());
    let state = server.erasures.state(user()).await.expect("a state");
    assert_eq!(state, KnownErasure::Scheduled { due_at: NOW + 30 * DAY });
    // It is brought forward, and never put off.
    assert_eq!(schedule(&server, 30).await, NOW + 30 * DAY);
    assert_eq!(schedule(&server, 2).await, NOW + 2 * DAY);
    assert_eq!(schedule(&server, 20).await, NOW + 2 * DAY);
    server.erasures.undo(user()).await.expect("undone");
    assert!(!server.is_blocked());
    assert!(matches!(server.erasures.undo(user()).await, Err(ErasureError::Unknown)));
    let server = disk.start();
    assert!(!server.is_blocked() && disk.jobs() == 0);
    assert!(matches!(disk.users.get(), StoredUser::Living { generation: 1, .. }));
    assert!(disk.recorded().is_empty(), "nothing was erased");
}

#[tokio::test]
async fn when_its_time_has_come_it_is_erased_and_not_before() {
    let disk = Disk::new();
    let server = disk.start();
    schedule(&server, 3).await;
    disk.clock.0.store(NOW + 3 * DAY - 1, Ordering::Relaxed);
    for _ in 0..20 {
        server.erasures.tick();
        tokio::task::yield_now().await;
    }
    assert!(disk.recorded().is_empty() && server.is_blocked());
    disk.clock.0.store(NOW + 3 * DAY, Ordering::Relaxed);
    settle(&server, &disk, 0).await;
    assert_eq!(disk.recorded(), ["request-1"], "with the request that has scheduled it");
    assert!(matches!(disk.users.get(), StoredUser::Erased { .. }));
    assert!(!server.is_blocked());
    assert!(matches!(server.erasures.undo(user()).await, Err(ErasureError::Unknown)));
    assert!(server.erase().await.is_ok(), "the receipt");
}

#[tokio::test]
async fn one_that_was_undone_and_scheduled_again_waits_for_its_new_time() {
    let disk = Disk::new();
    let server = disk.start();
    schedule(&server, 3).await;
    disk.clock.0.store(NOW + 3 * DAY, Ordering::Relaxed);
    // The user's lock is held, as by the two requests, when what is due begins.
    let held = server.erasures.lock(user()).await;
    server.erasures.tick();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let undone = tokio::spawn({
        let erasures = server.erasures.clone();
        async move { erasures.undo(user()).await }
    });
    let pending = server.erasures.0.jobs.lock().get(&user()).map(|pending| pending.job.clone()).expect("a job");
    let due_at = NOW + 33 * DAY;
    server.erasures.remember(ErasureJob { stage: JobStage::Scheduled { due_at }, ..pending });
    drop(held);
    undone.await.expect("no panic").expect("undone");
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(disk.recorded().is_empty(), "nothing was erased");
    assert!(matches!(disk.users.get(), StoredUser::Living { .. }));
}

#[tokio::test]
async fn what_was_undone_since_the_backup_is_not_scheduled_in_what_was_restored() {
    let disk = Disk::new();
    let record = async |action| {
        let entry = AuditEntry::new(AuditCategory::Compliance, action, origin().actor);
        disk.audit.write(AuditEntry { subject: Some(user()), ..entry }).await.expect("an entry");
    };
    record(SCHEDULE_ACTION).await;
    let server = disk.start();
    schedule(&server, 30).await;
    assert_eq!(disk.start().erasures.cancel_undone().await.expect("it reads"), 0);
    record(UNDO_ACTION).await;
    record(SCHEDULE_ACTION).await;
    assert_eq!(disk.start().erasures.cancel_undone().await.expect("it reads"), 0, "it was scheduled again");
    record(UNDO_ACTION).await;
    let server = disk.start();
    assert!(server.is_blocked());
    assert_eq!(server.erasures.cancel_undone().await.expect("it reads"), 1);
    assert!(!server.is_blocked() && disk.jobs() == 0);
}

#[tokio::test]
async fn a_scheduled_erasure_can_be_done_at_once() {
    let disk = Disk::new();
    let server = disk.start();
    schedule(&server, 30).await;
    assert!(server.erase().await.is_ok());
    assert_eq!((disk.jobs(), server.is_blocked(), disk.recorded().len()), (0, false, 1));
    let scheduled = server.erasures.schedule(user(), ErasureReason::Citizen, origin(), 3).await;
    assert!(matches!(scheduled, Err(ErasureError::Unfinished)), "there is nothing left to schedule");
}

#[tokio::test]
async fn what_has_failed_is_tried_again_without_a_caller() {
    let disk = Disk::new();
    let server = disk.start();
    disk.failures[1].store(1, Ordering::Relaxed);
    assert!(server.erase().await.is_err());
    settle(&server, &disk, 0).await;
    assert!(server.erase().await.is_ok());
    assert_eq!(disk.recorded().len(), 1);
}

#[tokio::test]
async fn an_erasure_that_has_begun_cannot_be_undone() {
    let disk = Disk::new();
    let server = disk.start();
    disk.failures[0].store(1, Ordering::Relaxed);
    assert!(server.erase().await.is_err());
    assert!(matches!(server.erasures.undo(user()).await, Err(ErasureError::Unfinished)));
    assert_eq!(disk.jobs(), 1);
}
