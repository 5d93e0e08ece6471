//! Every way to rewrite the log, and what `verify` says about it.

use std::fs;
use std::path::Path;

use domain::port::audit::{AuditCategory, AuditLog};
use domain::port::audit_trail::AuditTrail;
use store::audit::{self, AuditKeys};

use crate::kit::{
    DAY, TODAY, TestClock, anchors, assert_sound, change_lines, copy, directory, entry, lines, open_at, options,
    segment, verify, write,
};

/// A log over two months: entries 1 to 10 of each category in November, 11 to 16 in December, a head after each ten and at
/// the end.
fn log() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open_at(dir.path(), clock.clone());
    let write_all = |count| {
        for number in 0..count {
            for category in AuditCategory::ALL {
                log.write_blocking(entry(category, number)).expect("an entry");
            }
        }
        log.sign_tree_head().expect("a head");
    };
    write_all(10);
    clock.advance(31 * DAY);
    write_all(6);
    drop(log);
    assert_eq!(assert_sound(dir.path()).entries, [16, 16, 16]);
    dir
}

/// Changes a copy of a log and asserts what is found: with the keys, and with the public key alone (`None`: nothing).
#[track_caller]
fn attack(what: &str, change: impl Fn(&Path), with_keys: Option<u64>, with_public_key: Option<u64>) {
    let (dir, original) = (tempfile::tempdir().expect("a folder"), log());
    copy(original.path(), dir.path());
    change(dir.path());
    for (uses_keys, expected) in [(true, with_keys), (false, with_public_key)] {
        match (verify(dir.path(), uses_keys), expected) {
            (Err(fault), Some(seq)) => assert_eq!(fault.seq, Some(seq), "{what} (keys: {uses_keys}): {fault}"),
            (Ok(_), None) => {}
            (found, expected) => panic!("{what} (keys: {uses_keys}): {found:?} instead of {expected:?}"),
        }
    }
}

fn november(dir: &Path, category: &str) -> std::path::PathBuf {
    segment(dir, category, "2026-11")
}

#[test]
fn an_edited_entry_is_named() {
    for category in ["compliance", "security", "operations"] {
        let edit = |dir: &Path| {
            change_lines(&november(dir, category), |all| all[4] = all[4].replace("adm:", "adn:"));
        };
        // Outside the tree, the digests of the heads say that it is one of the entries since the head before.
        let by_public_key = if category == "compliance" { 4 } else { 1 };
        attack("an edit", edit, Some(4), Some(by_public_key));
        let edit = |dir: &Path| {
            change_lines(&segment(dir, category, "2026-12"), |all| all[4] = all[4].replace("adm:", "adn:"));
        };
        let by_public_key = if category == "compliance" { 14 } else { 11 };
        attack("an edit after another head", edit, Some(14), Some(by_public_key));
    }
    let without_nodes = |dir: &Path| {
        change_lines(&november(dir, "compliance"), |all| all[4] = all[4].replace("adm:", "adn:"));
        fs::remove_file(directory(dir).join("tree.nodes")).expect("removed");
    };
    // The tree alone says that it is one of the entries since the head before.
    attack("an edit without nodes", without_nodes, Some(4), Some(1));
}

#[test]
fn an_edited_entry_with_a_chain_that_an_insider_made_anew_is_found_by_the_heads() {
    // The insider has the chain key, writes the log from entry 4 on again, and cannot sign.
    let rewrite = |dir: &Path| {
        let forged = tempfile::tempdir().expect("a folder");
        let log = open_at(forged.path(), TestClock::at_day(TODAY));
        for number in 0..10 {
            let about = if number == 3 { 9 } else { number };
            log.write_blocking(entry(AuditCategory::Security, about)).expect("an entry");
        }
        drop(log);
        fs::copy(november(forged.path(), "security"), november(dir, "security")).expect("a copy");
    };
    attack("a new chain", rewrite, Some(1), Some(1));
}

#[test]
fn entries_that_are_missing_or_moved_or_added_are_named() {
    for category in ["compliance", "security", "operations"] {
        let removed = |dir: &Path| change_lines(&november(dir, category), |all| drop(all.remove(5)));
        attack("a removal", removed, Some(5), Some(5));
        let swapped = |dir: &Path| change_lines(&november(dir, category), |all| all.swap(5, 6));
        attack("a swap", swapped, Some(5), Some(5));
        let doubled = |dir: &Path| change_lines(&november(dir, category), |all| all.insert(6, all[5].clone()));
        attack("an insertion", doubled, Some(6), Some(6));
        let foreign = |dir: &Path| {
            let other = if category == "security" { "compliance" } else { "security" };
            let line = lines(&november(dir, other))[5].clone();
            change_lines(&november(dir, category), |all| all[5].clone_from(&line));
        };
        attack("an entry of another category", foreign, Some(5), Some(5));
    }
}

#[test]
fn a_truncation_is_found() {
    for category in ["compliance", "security", "operations"] {
        let cut = |dir: &Path| change_lines(&segment(dir, category, "2026-12"), |all| all.truncate(3));
        attack("a truncation", cut, Some(13), Some(13));
        let cut = |dir: &Path| fs::remove_file(segment(dir, category, "2026-12")).expect("removed");
        attack("a removal of the newest segment", cut, Some(11), Some(11));
        let cut = |dir: &Path| fs::remove_file(november(dir, category)).expect("removed");
        attack("a removal of the oldest segment", cut, Some(1), Some(1));
        // With the heads cut as well, the anchors remember.
        let cut = |dir: &Path| {
            change_lines(&segment(dir, category, "2026-12"), |all| all.truncate(3));
            fs::remove_file(directory(dir).join("heads-2026-12.log")).expect("removed");
        };
        attack("a truncation with its heads", cut, Some(13), Some(13));
        let torn = |dir: &Path| {
            let path = segment(dir, category, "2026-12");
            let length = path.metadata().expect("a file").len();
            fs::File::options().write(true).open(path).expect("a file").set_len(length - 9).expect("cut");
        };
        attack("a cut line", torn, Some(16), Some(16));
    }
}

#[test]
fn a_replaced_segment_is_found() {
    // A forged segment of the same month, with valid chains of its own.
    let replace = |dir: &Path| {
        let forged = log();
        let clock = TestClock::at_day(TODAY + 31);
        let other = tempfile::tempdir().expect("a folder");
        copy(forged.path(), other.path());
        for name in ["compliance-2026-12.log", "compliance-2026-12.index"] {
            let _ = fs::remove_file(directory(other.path()).join(name));
        }
        let _ = fs::remove_file(directory(other.path()).join("heads-2026-12.log"));
        let _ = fs::remove_file(anchors(other.path()));
        let _ = fs::remove_file(segment(other.path(), "security", "2026-12"));
        let _ = fs::remove_file(segment(other.path(), "operations", "2026-12"));
        let log = open_at(other.path(), clock);
        for number in 0..6 {
            log.write_blocking(entry(AuditCategory::Compliance, number + 50)).expect("an entry");
        }
        drop(log);
        fs::copy(segment(other.path(), "compliance", "2026-12"), segment(dir, "compliance", "2026-12"))
            .expect("a copy");
    };
    attack("a replaced segment", replace, Some(11), Some(11));
    let other_month = |dir: &Path| {
        fs::copy(november(dir, "security"), segment(dir, "security", "2026-12")).expect("a copy");
    };
    let dir = log();
    other_month(dir.path());
    assert!(verify(dir.path(), false).is_err(), "a segment of another month");
}

#[test]
fn a_replaced_log_is_found() {
    let other = AuditKeys::from_keys([8; 32], &[8; 32], &[8; 32]);
    // With keys of its own: the signatures are of another key.
    let dir = log();
    fs::remove_dir_all(directory(dir.path())).expect("removed");
    let mut forged = options(dir.path(), TestClock::at_day(TODAY));
    forged.anchor_file = Some(dir.path().join("other"));
    let log_of_other = audit::open(&forged, other).expect("a log");
    write(&log_of_other, 20);
    drop(log_of_other);
    let fault = verify(dir.path(), false).expect_err("a fault");
    assert!(fault.what.contains("signed with the key of this log"), "{fault}");
    // With the keys of the log, as only the server can: the anchors contradict it.
    let dir = log();
    fs::remove_dir_all(directory(dir.path())).expect("removed");
    let mut forged = options(dir.path(), TestClock::at_day(TODAY));
    forged.anchor_file = Some(dir.path().join("other"));
    let forged = audit::open(&forged, crate::kit::keys()).expect("a log");
    for number in 100..130 {
        for category in AuditCategory::ALL {
            forged.write_blocking(entry(category, number)).expect("an entry");
        }
    }
    drop(forged);
    let fault = verify(dir.path(), true).expect_err("a fault");
    assert!(fault.what.contains("tree head"), "{fault}");
    // Emptied.
    let dir = log();
    fs::remove_dir_all(directory(dir.path())).expect("removed");
    fs::create_dir(directory(dir.path())).expect("a folder");
    assert_eq!(verify(dir.path(), false).expect_err("a fault").seq, Some(1));
}

#[test]
fn changed_heads_anchors_and_nodes_are_found() {
    for name in ["audit/heads-2026-11.log", "audit/heads-2026-12.log", "audit-anchors.log"] {
        let dir = log();
        change_lines(&dir.path().join(name), |all| all[0] = all[0].replace("\"size\":1", "\"size\":2"));
        let fault = verify(dir.path(), false).expect_err(name);
        assert!(fault.what.contains("line 1"), "{fault}");
    }
    let dir = log();
    change_lines(&anchors(dir.path()), |all| all.swap(0, 1));
    assert!(verify(dir.path(), false).expect_err("swapped").what.contains("shorter"));
    let dir = log();
    let path = directory(dir.path()).join("tree.nodes");
    let mut nodes = fs::read(&path).expect("nodes");
    nodes[3] ^= 1;
    fs::write(&path, nodes).expect("nodes");
    assert_eq!(verify(dir.path(), false).expect_err("a node").seq, Some(1));
}

/// Every byte of the log is covered: no change of one goes unnoticed.
#[test]
fn no_byte_of_a_segment_can_change() {
    let dir = log();
    for category in AuditCategory::ALL {
        let path = november(dir.path(), category.name());
        let whole = fs::read(&path).expect("a segment");
        for at in (0..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).expect("a segment");
            assert!(verify(dir.path(), true).is_err(), "byte {at} of {category:?}, with the keys");
            assert!(verify(dir.path(), false).is_err(), "byte {at} of {category:?}, with the public key");
        }
        fs::write(&path, &whole).expect("a segment");
    }
    assert_sound(dir.path());
}
