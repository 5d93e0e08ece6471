//! Old segments go, and leave stubs over which everything can still be checked.

use std::fs;
use std::time::Duration;

use domain::port::audit::{AuditCategory, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use store::audit;

use crate::kit::{
    DAY, TODAY, TestClock, assert_sound, change_lines, copy, directory, entry, keys, lines, open_at, options, segment,
    set_lines, verify,
};

/// A log over `months` months with 4 entries of each category a month, and the clock after them.
pub(crate) fn log(months: i64) -> (tempfile::TempDir, std::sync::Arc<TestClock>) {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open_at(dir.path(), clock.clone());
    for _ in 0..months {
        for number in 0..4 {
            for category in AuditCategory::ALL {
                log.write_blocking(entry(category, number)).expect("an entry");
            }
        }
        clock.advance(30 * DAY);
    }
    (dir, clock)
}

#[test]
fn segments_go_at_their_age_and_leave_a_signed_stub() {
    // The middle of May: what was written until January is 90 days old.
    let (dir, clock) = log(6);
    let log = open_at(dir.path(), clock.clone());
    log.sign_tree_head().expect("a head");
    drop(log);
    for (category, stubs) in [("compliance", 0), ("security", 3), ("operations", 3)] {
        let is_stub = |name: &str| name.starts_with(category) && name.ends_with(".stub");
        let names = fs::read_dir(directory(dir.path())).expect("a folder");
        let names = names.map(|item| item.expect("an item").file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| is_stub(name)).count(), stubs, "{category}");
        assert_eq!(segment(dir.path(), category, "2026-11").exists(), stubs == 0);
    }
    let report = assert_sound(dir.path());
    assert_eq!(report.removed, [0, 12, 12]);
    assert_eq!(report.entries, [24 + 6, 12, 12], "each removal is recorded");

    // Seven years later the compliance entries go, too, and the proofs still hold.
    clock.advance(2_600 * DAY);
    let log = open_at(dir.path(), clock.clone());
    log.write_blocking(entry(AuditCategory::Compliance, 1)).expect("an entry");
    drop(log);
    let log = open_at(dir.path(), clock);
    let head = log.sign_tree_head().expect("a head");
    let old = log.inclusion(3, head.size).expect("a proof of a removed entry");
    assert!(!old.is_empty());
    let kept = log.query(&AuditQuery::newest(100)).expect("a page").records;
    assert!(kept.iter().all(|record| record.receipt.seq > 24 || record.receipt.leaf.is_none()), "{kept:?}");
    drop(log);
    let report = assert_sound(dir.path());
    assert!(report.removed[0] >= 24, "{report:?}");
}

#[test]
fn a_change_after_a_removed_segment_is_found_with_the_public_key() {
    let (original, clock) = log(6);
    drop(open_at(original.path(), clock));
    for category in ["security", "operations"] {
        let dir = tempfile::tempdir().expect("a folder");
        copy(original.path(), dir.path());
        // Entries 1 to 12 were removed, and their stub binds what follows.
        change_lines(&segment(dir.path(), category, "2027-03"), |all| all[2] = all[2].replace("adm:", "xdm:"));
        let fault = verify(dir.path(), false).expect_err(category);
        assert_eq!(fault.seq, Some(13), "{fault}");
    }
}

#[test]
fn a_stub_that_was_changed_or_removed_is_found() {
    let (original, clock) = log(6);
    drop(open_at(original.path(), clock));
    let stub = |dir: &std::path::Path, month: &str| directory(dir).join(format!("security-{month}.stub"));
    type Change<'a> = &'a dyn Fn(&std::path::Path);
    let changes: [(&str, Change<'_>); 3] = [
        ("edited", &|dir| {
            let path = stub(dir, "2026-12");
            let changed: Vec<_> =
                lines(&path).iter().map(|line| line.replace("\"last_seq\":8", "\"last_seq\":9")).collect();
            set_lines(&path, &changed);
        }),
        ("removed", &|dir| fs::remove_file(stub(dir, "2026-12")).expect("removed")),
        ("all removed", &|dir| {
            for month in ["2026-11", "2026-12", "2027-01"] {
                fs::remove_file(stub(dir, month)).expect("removed");
            }
        }),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().expect("a folder");
        copy(original.path(), dir.path());
        change(dir.path());
        assert!(verify(dir.path(), false).is_err(), "{what}");
    }
}

#[test]
fn a_removal_that_a_crash_has_interrupted_is_completed() {
    let (dir, clock) = log(6);
    let before = tempfile::tempdir().expect("a folder");
    copy(dir.path(), before.path());
    drop(open_at(dir.path(), clock.clone()));
    // The stub is there, and so is the segment.
    for name in ["security-2026-11.log", "security-2026-11.index"] {
        fs::copy(directory(before.path()).join(name), directory(dir.path()).join(name)).expect("a copy");
    }
    drop(open_at(dir.path(), clock));
    assert!(!segment(dir.path(), "security", "2026-11").exists());
    assert_sound(dir.path());
}

#[test]
fn a_jump_of_the_clock_removes_nothing_before_it_has_held() {
    let (dir, clock) = log(2);
    clock.advance(5_000 * DAY);
    let mut options = options(dir.path(), clock);
    options.confirm_clock = Duration::from_secs(3600);
    drop(audit::open(&options, keys()).expect("a log"));
    assert!(segment(dir.path(), "security", "2026-11").exists());
    assert_eq!(assert_sound(dir.path()).removed, [0, 0, 0]);
}
