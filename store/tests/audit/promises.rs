//! What is promised about entries of each category, and about proofs.

use std::path::Path;

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditError, AuditLog, AuditValue};
use domain::port::audit_trail::{AuditQuery, AuditReadError, AuditTrail};
use store::audit::{SignedTreeHead, leaf_hash, verify_consistency, verify_inclusion};

use crate::kit::{
    DAY, TODAY, TestClock, anchors, assert_sound, directory, entry, keys, lines, open, open_at, segment, user, write,
};

fn texts(log: &impl AuditTrail) -> Vec<String> {
    let page = log.query(&AuditQuery::newest(10_000)).expect("a page");
    page.records.into_iter().map(|record| record.line).collect()
}

#[test]
fn entries_come_back_after_a_stop_in_the_same_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    write(&log, 20);
    log.note(entry(AuditCategory::Security, 3));
    log.note(entry(AuditCategory::Operations, 4));
    let before = texts(&log);
    assert_eq!(before.len(), 22);
    drop(log);
    let log = open(dir.path());
    assert_eq!(texts(&log), before);
    let receipt = log.write_blocking(entry(AuditCategory::Compliance, 9)).expect("an entry");
    assert_eq!((receipt.seq, receipt.leaf), (21, Some(20)));
    drop(log);
    let report = assert_sound(dir.path());
    assert_eq!((report.entries, report.signed, report.notes), ([21, 1, 1], 21, Vec::<String>::new()));
}

#[test]
fn every_write_is_in_the_file_when_it_is_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (log, path) = (&log, dir.path());
            scope.spawn(move || {
                for number in 0..50 {
                    let number = thread * 1_000 + number;
                    let receipt = log.write_blocking(entry(AuditCategory::Compliance, number)).expect("an entry");
                    // The first line is the header.
                    let line = &lines(&segment(path, "compliance", "2026-11"))[receipt.seq as usize];
                    assert!(line.contains(&format!("\"number\":{number},")), "{line}");
                }
            });
        }
    });
    drop(log);
    assert_eq!(assert_sound(dir.path()).entries[0], 400);
}

#[test]
fn a_closed_log_takes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    log.close();
    assert_eq!(log.write_blocking(entry(AuditCategory::Compliance, 1)), Err(AuditError::Closed));
    assert!(texts(&log).is_empty(), "and can still be read");
}

#[test]
fn proofs_hold_for_every_entry_and_from_every_head() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, key) = (open(dir.path()), keys().public_key());
    assert_eq!(log.tree_head(), None);
    let mut heads = Vec::new();
    for _ in 0..7 {
        write(&log, 5);
        let line = log.sign_tree_head().expect("a head").line;
        heads.push(SignedTreeHead::verify(&line, &key).expect("a signature").head);
    }
    assert_eq!(log.sign_tree_head().ok(), log.tree_head(), "nothing has changed since");
    let newest = heads[6];
    assert_eq!(newest.size, 35);
    let page = log.query(&AuditQuery::newest(100)).expect("a page");
    for record in &page.records {
        let leaf = record.receipt.leaf.expect("a leaf");
        let proof = log.inclusion(leaf, newest.size).expect("a proof");
        assert!(verify_inclusion(&leaf_hash(record.line.as_bytes()), leaf, newest.size, &proof, &newest.root));
    }
    for head in &heads {
        let proof = log.consistency(head.size, newest.size).expect("a proof");
        assert!(verify_consistency(head.size, newest.size, &proof, &head.root, &newest.root));
    }
    for (leaf, size) in [(35, 35), (0, 0), (0, 36), (u64::MAX, u64::MAX)] {
        assert!(matches!(log.inclusion(leaf, size), Err(AuditReadError::NoSuchTree)), "{leaf} of {size}");
    }
    assert!(matches!(log.consistency(3, 2), Err(AuditReadError::NoSuchTree)));
    drop(log);
    assert_eq!(lines(&anchors(dir.path())).len(), 7, "each head is an anchor");
}

#[test]
fn neither_names_nor_values_are_in_the_files() {
    const PLANTED: [&str; 3] = ["usr_000000000005", "2341 2341 2346", "asha@example.in"];
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    let mut planted = AuditEntry::new(AuditCategory::Compliance, "profile.read", AuditActor::Citizen(user(5)));
    planted.subject = Some(user(5));
    planted.reason = Some(PLANTED.join(" and "));
    planted.purpose = Some(PLANTED.join(","));
    planted.request_id = Some(PLANTED[1].to_owned());
    let planted = planted.with("note", AuditValue::Text(PLANTED.join(";").into()));
    log.write_blocking(planted.clone()).expect("an entry");
    log.note(AuditEntry { category: AuditCategory::Security, ..planted });
    drop(log);
    let mut searched = 0;
    for item in std::fs::read_dir(directory(dir.path())).expect("a folder") {
        let bytes = std::fs::read(item.expect("an item").path()).expect("a file");
        searched += bytes.len();
        for text in PLANTED {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
    }
    assert!(searched > 1_000);
}

#[test]
fn the_order_holds_over_jumps_of_the_clock() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open_at(dir.path(), clock.clone());
    let mut jumps = vec![0, 400 * DAY, -800 * DAY, 30 * DAY, 31 * DAY, 500 * DAY, -1, 1];
    jumps.extend((0..20).map(|number| (number * 7_919 % 101 - 50) * DAY));
    for jump in &jumps {
        clock.advance(*jump);
        write(&log, 2);
        log.note(entry(AuditCategory::Operations, 1));
    }
    let count = jumps.len() as u64;
    let page = log.query(&AuditQuery::newest(1_000)).expect("a page");
    assert_eq!(page.records.len() as u64, 3 * count);
    drop(log);
    let report = assert_sound(dir.path());
    assert_eq!(report.entries, [2 * count, 0, count]);
    // And over a start with an early clock.
    let log = open_at(dir.path(), TestClock::at_day(TODAY - 1_000));
    write(&log, 1);
    drop(log);
    assert_eq!(assert_sound(dir.path()).entries[0], 2 * count + 1);
}

#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    write(&open(dir.path()), 1);
    let mode = |path: &Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&directory(dir.path())), 0o700);
    for item in std::fs::read_dir(directory(dir.path())).expect("a folder") {
        assert_eq!(mode(&item.expect("an item").path()), 0o600);
    }
}

#[test]
fn a_head_is_used_again_for_entries_that_it_covers() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = open(dir.path());
    write(&log, 2);
    let first = log.covering_tree_head(2).expect("a head");
    assert_eq!(first.size, 2);
    log.write_blocking(entry(AuditCategory::Security, 1)).expect("an entry");
    assert_eq!(log.covering_tree_head(2).expect("a head"), first, "it has both entries");
    write(&log, 1);
    assert_eq!(log.covering_tree_head(1).expect("a head"), first);
    assert_eq!(log.covering_tree_head(3).expect("a head").size, 3);
}
