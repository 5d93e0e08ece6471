//! Tree heads and their anchors: none is missing for long, and they do not grow for ever.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use domain::port::audit_trail::AuditTrail;
use store::audit;

use crate::kit::{
    DAY, TODAY, TestClock, anchors, assert_sound, copy, directory, eventually, keys, lines, open, options, write,
};
use crate::test_disk::TestDisk;

#[test]
fn a_head_that_was_not_anchored_is_tried_again_without_a_newer_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    // A folder cannot be appended to.
    fs::create_dir(anchors(dir.path())).expect("a folder");
    write(&log, 1);
    log.sign_tree_head().expect("a head");
    write(&log, 1);
    let newest = log.sign_tree_head().expect("a head");
    std::thread::sleep(Duration::from_millis(50));
    fs::remove_dir(anchors(dir.path())).expect("removed");
    eventually("the newest head is anchored", || {
        fs::read_to_string(anchors(dir.path())).is_ok_and(|text| text.lines().last() == Some(newest.line.as_str()))
    });
    drop(log);
    assert_sound(dir.path());
}

#[test]
fn a_head_without_an_anchor_gets_it_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    write(&log, 1);
    log.sign_tree_head().expect("a head");
    drop(log);
    let before = lines(&anchors(dir.path()));
    drop(open(dir.path()));
    assert_eq!(lines(&anchors(dir.path())), before, "an anchored head is not anchored twice");
    fs::remove_file(anchors(dir.path())).expect("removed");
    drop(open(dir.path()));
    assert_eq!(lines(&anchors(dir.path())), before);
    assert_sound(dir.path());
}

#[test]
fn of_a_month_that_is_over_one_head_an_hour_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let (clock, mut options) = (TestClock::at_day(TODAY), options(dir.path(), TestClock::at_day(TODAY)));
    (options.clock, options.disk) = (clock.clone(), Arc::new(TestDisk::default()));
    let log = audit::open(&options, keys()).expect("a log");
    let sign = || {
        write(&log, 1);
        log.sign_tree_head().expect("a head")
    };
    let heads = directory(dir.path()).join("heads-2026-11.log");
    while fs::metadata(&heads).map_or(0, |file| file.len()) <= 1 << 20 {
        sign();
    }
    let last = sign();
    clock.advance(31 * DAY);
    sign();
    assert_eq!(lines(&heads), [last.line]);
    drop(log);
    assert_sound(dir.path());
    drop(audit::open(&options, keys()).expect("a log"));
}

#[test]
fn a_log_that_is_older_than_its_anchor_is_refused_with_what_to_do() {
    let (dir, older) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let log = open(dir.path());
    write(&log, 2);
    log.sign_tree_head().expect("a head");
    drop(log);
    copy(&directory(dir.path()), &directory(older.path()));
    let log = open(dir.path());
    write(&log, 3);
    log.sign_tree_head().expect("a head");
    drop(log);
    // As after a restore of an older backup beside the anchor file of the server.
    fs::copy(anchors(dir.path()), anchors(older.path())).expect("a copy");
    let refused = audit::open(&options(older.path(), TestClock::at_day(TODAY)), keys()).map(drop).expect_err("refused");
    let line = refused.to_string();
    assert!(matches!(refused, store::OpenError::AuditLogOlderThanAnchor { found: 2, counted: 5, .. }), "{line}");
    assert!(
        !line.contains('\n') && line.contains("restore --audit") && line.contains("move the anchor file"),
        "{line}"
    );
    fs::rename(anchors(older.path()), older.path().join("kept")).expect("moved");
    drop(open(older.path()));
    assert_sound(older.path());
}
