//! The order of the steps, and what happens when one fails or the server is killed after it.

use std::sync::atomic::Ordering;

use domain::erasure::ErasureReason;
use domain::erasure_receipt::ERASE_ACTION;
use domain::port::audit::{AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditValue, NOT_DONE_MEMBER};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use domain::port::erasure::StoredUser;
use domain::splitmix64;

use super::super::erasures::{ErasureError, KnownErasure};
use super::super::run::Step;
use super::super::verify::{ReceiptCheck, check_receipt};
use super::fixture::{Disk, NOW, PARTICIPANTS, origin, user};

#[tokio::test]
async fn a_second_erasure_gives_the_same_receipt_and_records_nothing() {
    let disk = Disk::new();
    let server = disk.start();
    assert_eq!(server.erasures.state(user()).await.expect("a state"), KnownErasure::Living);
    let first = server.erasures.erase(user(), ErasureReason::Citizen, origin()).await.expect("a receipt");
    assert!(first.is_recorded);
    let receipt = check_receipt(&first.receipt, &ReceiptCheck { user: Some(user()), ..ReceiptCheck::default() });
    let receipt = receipt.expect("a valid receipt");
    assert_eq!((receipt.slot, receipt.generation, receipt.erased_at), (41, 1, NOW + 5));
    assert_eq!(receipt.key_id, disk.public_key());
    assert!(receipt.keyring_backup_until.is_some());
    for server in [server, disk.start()] {
        let again = server.erasures.erase(user(), ErasureReason::Administrator, origin()).await.expect("a receipt");
        assert_eq!((&again.receipt, again.is_recorded), (&first.receipt, false));
        let state = server.erasures.state(user()).await.expect("a state");
        assert_eq!(state, KnownErasure::Finished(first.receipt.clone()));
    }
    assert_eq!(disk.recorded(), ["request-1"]);
    assert_eq!((disk.users.ended.load(Ordering::Relaxed), disk.jobs()), (1, 0));
    assert_eq!(*disk.asked.lock(), [(0, true), (1, true), (2, true)]);
}

#[tokio::test]
async fn two_erasures_at_once_are_one() {
    let disk = Disk::new();
    let server = disk.start();
    let erase = || server.erasures.erase(user(), ErasureReason::Citizen, origin());
    let (one, other) = tokio::join!(erase(), erase());
    let (one, other) = (one.expect("a receipt"), other.expect("a receipt"));
    assert_eq!(one.receipt, other.receipt);
    assert!(one.is_recorded != other.is_recorded, "one entry in the log");
    assert_eq!((disk.recorded().len(), disk.users.ended.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn a_user_who_does_not_exist_is_not_erased() {
    let disk = Disk::new();
    disk.users.users.lock().clear();
    let server = disk.start();
    assert_eq!(server.erasures.state(user()).await.expect("a state"), KnownErasure::Unknown);
    assert!(matches!(server.erase().await, Err(ErasureError::Unknown)));
    let scheduled = server.erasures.schedule(user(), ErasureReason::Citizen, origin(), 3).await;
    assert!(matches!(scheduled, Err(ErasureError::Unknown)));
    assert!(matches!(server.erasures.undo(user()).await, Err(ErasureError::Unknown)));
    assert!(disk.recorded().is_empty() && disk.jobs() == 0 && !server.is_blocked());
}

/// All steps, in their order.
fn steps() -> Vec<Step> {
    let mut steps = vec![Step::Begun, Step::Recorded, Step::Ended, Step::Noted];
    steps.extend((0..PARTICIPANTS).map(Step::Forgotten));
    steps.push(Step::Proved);
    steps
}

#[tokio::test]
async fn an_erasure_that_was_killed_after_any_step_is_finished_at_the_next_start() {
    for step in steps() {
        let disk = Disk::new();
        let server = disk.start_until(step);
        assert!(matches!(server.erase().await, Err(ErasureError::Unfinished)), "{step:?}");
        assert_eq!(disk.jobs(), 1, "{step:?}");
        let is_over = matches!(disk.users.get(), StoredUser::Erased { .. });
        let is_hidden = server.is_blocked();
        assert!(is_over || is_hidden, "{step:?}: nobody reads the profile after the first failure");
        // Killed again at the same place, and then not any more.
        drop(server);
        disk.start_until(step).erasures.resume().await;
        let server = disk.start();
        server.erasures.resume().await;
        assert_eq!((disk.jobs(), server.is_blocked()), (0, false), "{step:?}");
        let receipt = server.erase().await.expect("a receipt");
        let against = ReceiptCheck { public_key: Some(disk.public_key()), user: Some(user()), tree_head: None };
        check_receipt(&receipt, &against).unwrap_or_else(|fault| panic!("{step:?}: {fault}"));
        assert_eq!(disk.recorded(), ["request-1"], "{step:?}: one entry");
        assert_eq!(disk.users.ended.load(Ordering::Relaxed), 1, "{step:?}");
        let asked = disk.asked.lock();
        assert_eq!(asked.last(), Some(&(PARTICIPANTS - 1, true)), "{step:?}");
    }
}

#[tokio::test]
async fn a_receipt_rests_on_no_entry_that_the_log_calls_not_done() {
    let disk = Disk::new();
    assert!(disk.start_until(Step::Recorded).erase().await.is_err());
    let query = AuditQuery { action: Some(ERASE_ACTION.to_owned()), ..AuditQuery::newest(1) };
    let first = disk.audit.query(&query).expect("a page").records[0].receipt;
    // As the log does if the entry became durable after the server had given up waiting for it.
    let entry = AuditEntry {
        subject: Some(user()),
        decision: AuditDecision::Failed,
        ..AuditEntry::new(AuditCategory::Compliance, ERASE_ACTION, origin().actor)
    };
    disk.audit.write(entry.with(NOT_DONE_MEMBER, AuditValue::Integer(first.seq as i64))).await.expect("an entry");
    let server = disk.start();
    server.erasures.resume().await;
    let receipt = check_receipt(&server.erase().await.expect("a receipt"), &ReceiptCheck::default());
    assert!(Some(receipt.expect("a valid receipt").leaf) > first.leaf, "another entry was written");
    assert_eq!(disk.recorded(), ["request-1", "request-1"]);
}

#[tokio::test]
async fn a_tombstone_that_is_not_durable_hides_the_profile_until_it_is() {
    let disk = Disk::new();
    let server = disk.start();
    disk.users.failures.store(2, Ordering::Relaxed);
    assert!(matches!(server.erase().await, Err(ErasureError::Unfinished)));
    assert!(server.is_blocked());
    // As after a crash: hidden before anybody is served, and while it cannot be finished.
    let server = disk.start();
    assert!(server.is_blocked());
    server.erasures.resume().await;
    assert!(server.is_blocked() && disk.jobs() == 1);
    assert!(server.erase().await.is_ok());
    assert!(!server.is_blocked() && disk.jobs() == 0, "the tombstone answers now");
}

#[tokio::test]
async fn an_unfinished_erasure_does_not_end_a_later_life() {
    let disk = Disk::new();
    disk.failures[1].store(1, Ordering::Relaxed);
    let server = disk.start();
    assert!(matches!(server.erase().await, Err(ErasureError::Unfinished)));
    disk.users.live(user(), 2);
    for server in [server, disk.start()] {
        server.erasures.resume().await;
        assert!(matches!(disk.users.get(), StoredUser::Living { generation: 2, .. }));
    }
    assert_eq!((disk.jobs(), disk.users.ended.load(Ordering::Relaxed)), (0, 1));
    // The later life has an end and a receipt of its own.
    let server = disk.start();
    let second = server.erase().await.expect("a receipt");
    let second = check_receipt(&second, &ReceiptCheck { user: Some(user()), ..ReceiptCheck::default() });
    assert_eq!(second.expect("a valid receipt").generation, 2);
    assert_eq!((disk.recorded().len(), disk.users.ended.load(Ordering::Relaxed)), (2, 2));
}

#[tokio::test]
async fn participants_are_asked_in_their_order_and_again_until_all_have_forgotten() {
    for seed in 0..30 {
        let mut random = seed;
        let disk = Disk::new();
        let failures: [u64; PARTICIPANTS] = std::array::from_fn(|_| splitmix64::next(&mut random) % 3);
        for (left, failures) in disk.failures.iter().zip(failures) {
            left.store(failures as usize, Ordering::Relaxed);
        }
        let mut server = disk.start();
        let tries = 1 + failures.iter().sum::<u64>();
        for number in 1..=tries {
            if splitmix64::next(&mut random).is_multiple_of(2) {
                server = disk.start();
            }
            let is_erased = server.erase().await.is_ok();
            assert_eq!(is_erased, number == tries, "seed {seed}, {failures:?}, try {number}");
        }
        // Each try asks from the first one on, up to the one that fails.
        let mut expected = Vec::new();
        let mut left = failures;
        for _ in 0..tries {
            let failing = left.iter().position(|left| *left > 0);
            expected.extend((0..failing.unwrap_or(PARTICIPANTS)).map(|place| (place, true)));
            if let Some(place) = failing {
                expected.push((place, false));
                left[place] -= 1;
            }
        }
        assert_eq!(*disk.asked.lock(), expected, "seed {seed}, {failures:?}");
        assert_eq!(disk.recorded().len(), 1, "seed {seed}");
    }
}
