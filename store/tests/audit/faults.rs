//! A disk that is full or fails: the operation fails and nothing is recorded.

use std::path::Path;
use std::sync::Arc;

use domain::port::audit::{AuditCategory, AuditError, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use store::audit::{self, AuditStore};

use crate::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::{DAY, TODAY, TestClock, assert_sound, entry, keys, options, write};

fn open_on(dir: &Path, disk: &FaultyDisk, clock: Arc<TestClock>) -> AuditStore {
    let mut options = options(dir, clock);
    options.disk = Arc::new(disk.clone());
    audit::open(&options, keys()).unwrap_or_else(|error| panic!("the log opens: {error}"))
}

fn count(log: &AuditStore) -> usize {
    log.query(&AuditQuery::newest(1_000)).expect("a page").records.len()
}

#[test]
fn an_entry_that_finds_the_disk_full_is_refused_and_leaves_nothing() {
    let plans = [
        FaultPlan { path: "compliance", full: 1, ..FaultPlan::default() },
        FaultPlan { path: "compliance", short: 1, ..FaultPlan::default() },
        FaultPlan { path: "compliance", syncs: 1, ..FaultPlan::default() },
    ];
    for plan in plans {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = FaultyDisk::default();
        let log = open_on(dir.path(), &disk, TestClock::at_day(TODAY));
        write(&log, 3);
        disk.set(plan.clone());
        let refused = log.write_blocking(entry(AuditCategory::Compliance, 77));
        assert_eq!(refused, Err(AuditError::NotWritten), "{plan:?}");
        assert!(disk.is_used_up(), "{plan:?}");
        assert_eq!(count(&log), 3, "{plan:?}");
        // The other categories and the next entry are not harmed.
        log.write_blocking(entry(AuditCategory::Security, 1)).expect("an entry");
        let receipt = log.write_blocking(entry(AuditCategory::Compliance, 78)).expect("an entry");
        assert_eq!(receipt.seq, 4, "{plan:?}");
        drop(log);
        disk.crash();
        assert_eq!(assert_sound(dir.path()).entries, [4, 1, 0], "{plan:?}");
        let log = open_on(dir.path(), &disk, TestClock::at_day(TODAY));
        assert_eq!(count(&log), 5);
    }
}

#[test]
fn a_log_that_cannot_be_repaired_takes_no_more_until_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = FaultyDisk::default();
    let log = open_on(dir.path(), &disk, TestClock::at_day(TODAY));
    write(&log, 3);
    disk.set(FaultPlan { path: "compliance", syncs: u32::MAX, ..FaultPlan::default() });
    assert_eq!(log.write_blocking(entry(AuditCategory::Compliance, 77)), Err(AuditError::Closed));
    disk.set(FaultPlan::default());
    assert_eq!(log.write_blocking(entry(AuditCategory::Compliance, 77)), Err(AuditError::Closed));
    assert_eq!(count(&log), 3, "and can be read");
    drop(log);
    let log = open_on(dir.path(), &disk, TestClock::at_day(TODAY));
    write(&log, 1);
    drop(log);
    assert_eq!(assert_sound(dir.path()).entries[0], 4);
}

#[test]
fn a_new_month_on_a_full_disk_begins_when_there_is_space() {
    let dir = tempfile::tempdir().expect("a folder");
    let (disk, clock) = (FaultyDisk::default(), TestClock::at_day(TODAY));
    let log = open_on(dir.path(), &disk, clock.clone());
    write(&log, 3);
    clock.advance(31 * DAY);
    disk.set(FaultPlan { path: "new.tmp", full: u32::MAX, ..FaultPlan::default() });
    for _ in 0..3 {
        assert_eq!(log.write_blocking(entry(AuditCategory::Compliance, 77)), Err(AuditError::NotWritten));
    }
    disk.set(FaultPlan::default());
    write(&log, 2);
    assert_eq!(count(&log), 5);
    drop(log);
    assert_eq!(assert_sound(dir.path()).entries[0], 5);
}

#[test]
fn nodes_that_cannot_be_written_hold_nothing_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = FaultyDisk::default();
    let log = open_on(dir.path(), &disk, TestClock::at_day(TODAY));
    disk.set(FaultPlan { path: "tree.nodes", full: 5, ..FaultPlan::default() });
    write(&log, 20);
    disk.set(FaultPlan::default());
    let head = log.sign_tree_head().expect("a head");
    assert_eq!(head.size, 20);
    log.inclusion(3, 20).expect("a proof");
    drop(log);
    assert_sound(dir.path());
}

#[test]
fn a_head_that_was_not_stored_leaves_nothing_behind_the_next_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let (disk, clock) = (FaultyDisk::default(), TestClock::at_day(TODAY));
    let log = open_on(dir.path(), &disk, clock.clone());
    write(&log, 9);
    log.sign_tree_head().expect("a head");
    write(&log, 1);
    disk.set(FaultPlan { path: "heads", syncs: 1, ..FaultPlan::default() });
    log.sign_tree_head().expect_err("the sync fails");
    assert!(disk.is_used_up());
    let heads = std::fs::read_dir(dir.path().join("audit")).expect("the log").filter_map(Result::ok);
    let heads = heads.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains("heads-")).expect("heads");
    // A later head is never shorter by itself, so the failed one is made longer.
    let failed = std::fs::read_to_string(&heads).expect("heads");
    std::fs::write(&heads, format!("{failed}{failed}")).expect("written");
    let stored = log.sign_tree_head().expect("a head");
    let text = std::fs::read_to_string(&heads).expect("heads");
    assert_eq!(text.lines().last(), Some(stored.line.as_str()));
    assert_eq!(text.lines().count(), 2);
    drop(log);
    assert_sound(dir.path());
}
