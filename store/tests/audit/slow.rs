//! A disk, an index or an anchor file that does not answer: what waits, and what does not.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use domain::port::audit::{AuditCategory, AuditError, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use store::audit::{self, AuditOptions, AuditStore};

use crate::kit::{DAY, TODAY, TestClock, anchors, assert_sound, entry, eventually, keys, open, options, write};
use crate::test_disk::TestDisk;

fn open_on(dir: &Path, disk: &TestDisk, change: impl Fn(&mut AuditOptions)) -> AuditStore {
    let mut options = options(dir, TestClock::at_day(TODAY));
    options.disk = Arc::new(disk.clone());
    change(&mut options);
    audit::open(&options, keys()).unwrap_or_else(|error| panic!("the log opens: {error}"))
}

/// Returns the number, the decision and the member `not_done` of each entry, the oldest first.
fn decisions(log: &AuditStore) -> Vec<(u64, String, Option<String>)> {
    let page = log.query(&AuditQuery::newest(100)).expect("a page");
    let member = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next().map(|value| value.trim_matches('"').to_owned())
    };
    let entries = page.records.iter().rev();
    entries
        .map(|record| {
            let decision = member(&record.line, "decision").expect("a decision");
            (record.receipt.seq, decision, member(&record.line, "not_done"))
        })
        .collect()
}

#[test]
fn an_operation_does_not_wait_for_a_disk_that_hangs() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = TestDisk::default();
    let log = open_on(dir.path(), &disk, |options| options.write_timeout = Duration::from_secs(1));
    write(&log, 1);
    disk.hold("compliance");
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| log.write_blocking(entry(AuditCategory::Compliance, 1)));
        disk.wait_until_held();
        let queued = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(log.write(entry(AuditCategory::Compliance, 2)))
        });
        assert_eq!(taken.join().expect("an outcome"), Err(AuditError::TimedOut));
        assert_eq!(queued.join().expect("an outcome"), Err(AuditError::TimedOut));
    });
    disk.release();
    eventually("an entry is written", || log.write_blocking(entry(AuditCategory::Compliance, 3)).is_ok());
    let found = decisions(&log);
    // The one that the writer had taken is durable, and the log says that it was not done; the other is not there at all.
    let allowed = |seq: u64| (seq, "allowed".to_owned(), None);
    assert_eq!(found[..3], [allowed(1), allowed(2), (3, "failed".to_owned(), Some("2".to_owned()))]);
    let page = log.query(&AuditQuery { subject: Some(crate::kit::user(2)), ..AuditQuery::newest(10) });
    assert!(page.expect("a page").records.is_empty());
    assert_eq!(found.last().map(|(_, decision, _)| decision.as_str()), Some("allowed"));
    drop(log);
    assert_sound(dir.path());
}

#[test]
fn a_query_does_not_wait_for_a_disk_that_hangs() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = TestDisk::default();
    let log = open_on(dir.path(), &disk, |options| options.write_timeout = Duration::from_millis(200));
    write(&log, 1);
    disk.hold("compliance");
    log.write_blocking(entry(AuditCategory::Compliance, 1)).expect_err("timed out");
    assert!(log.query(&AuditQuery::newest(1)).is_err());
    assert!(log.sign_tree_head().is_err());
    disk.release();
}

#[test]
fn an_entry_whose_sender_is_gone_before_the_writer_takes_it_is_not_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = TestDisk::default();
    let log = open_on(dir.path(), &disk, |_| {});
    disk.hold("compliance");
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| log.write_blocking(entry(AuditCategory::Compliance, 1)));
        disk.wait_until_held();
        drop(log.write(entry(AuditCategory::Compliance, 2)));
        disk.release();
        taken.join().expect("an outcome").expect("an entry");
    });
    assert_eq!(decisions(&log), [(1, "allowed".to_owned(), None)]);
}

#[test]
fn an_entry_about_what_has_happened_is_written_although_its_sender_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = TestDisk::default();
    let log = open_on(dir.path(), &disk, |_| {});
    disk.hold("compliance");
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| log.write_blocking(entry(AuditCategory::Compliance, 1)));
        disk.wait_until_held();
        drop(log.record(entry(AuditCategory::Compliance, 2)));
        disk.release();
        taken.join().expect("an outcome").expect("an entry");
    });
    // No entry follows that says that it was not done.
    let allowed = |seq: u64| (seq, "allowed".to_owned(), None);
    assert_eq!(decisions(&log), [allowed(1), allowed(2)]);
}

#[test]
fn an_index_that_hangs_holds_up_no_entry_and_no_change_of_month() {
    let dir = tempfile::tempdir().expect("a folder");
    let (disk, clock) = (TestDisk::default(), TestClock::at_day(TODAY));
    let mut options = options(dir.path(), clock.clone());
    (options.disk, options.run_lines) = (Arc::new(disk.clone()), 8);
    let log = audit::open(&options, keys()).expect("a log");
    disk.hold("index.tmp");
    write(&log, 40);
    disk.wait_until_held();
    clock.advance(31 * DAY);
    write(&log, 40);
    let query = AuditQuery { subject: Some(crate::kit::user(7)), ..AuditQuery::newest(10) };
    assert_eq!(log.query(&query).expect("a page").records.len(), 2, "what no index has is found all the same");
    disk.release();
    drop(log);
    assert_sound(dir.path());
}

#[test]
fn an_anchor_file_that_hangs_holds_up_neither_entries_nor_tree_heads() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    // A pipe that nobody reads cannot be opened for writing.
    let made = Command::new("mkfifo").arg(anchors(dir.path())).status().expect("mkfifo");
    assert!(made.success());
    for size in 1..=5 {
        write(&log, 1);
        assert_eq!(log.sign_tree_head().expect("a head").size, size);
    }
    // Once it has a reader, all of them arrive.
    let mut pipe = File::options().read(true).write(true).open(anchors(dir.path())).expect("a pipe");
    write(&log, 1);
    drop(log);
    let mut bytes = vec![0; 1 << 16];
    let length = pipe.read(&mut bytes).expect("heads");
    let text = String::from_utf8_lossy(&bytes[..length]);
    for size in 1..=6 {
        assert!(text.contains(&format!("\"size\":{size},")), "{size}: {text}");
    }
    std::fs::remove_file(anchors(dir.path())).expect("removed");
    assert_eq!(assert_sound(dir.path()).signed, 6);
}
