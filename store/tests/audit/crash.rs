//! What a crash leaves, and what it must not.

use std::fs;

use domain::port::audit_trail::{AuditQuery, AuditTrail};

use crate::kit::{
    TODAY, TestClock, anchors, assert_sound, copy, directory, keys, lines, open, options, segment, write,
};

/// A log that ended without a stop: `signed` entries that a head has, and 3 after it.
fn crashed(signed: u64) -> tempfile::TempDir {
    let (dir, crashed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let log = open(dir.path());
    write(&log, signed);
    log.sign_tree_head().expect("a head");
    write(&log, 3);
    copy(dir.path(), crashed.path());
    crashed
}

#[test]
fn a_line_that_was_cut_anywhere_is_moved_away_and_no_other_is() {
    let dir = crashed(4);
    let path = segment(dir.path(), "compliance", "2026-11");
    let whole = fs::read(&path).expect("a segment");
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("a line") + 1;
    for cut in last..whole.len() {
        let copied = tempfile::tempdir().expect("a folder");
        copy(dir.path(), copied.path());
        let path = segment(copied.path(), "compliance", "2026-11");
        fs::write(&path, &whole[..cut]).expect("a segment");
        let log = open(copied.path());
        write(&log, 1);
        drop(log);
        // The header, the six whole entries, the one about the repair, and the new one.
        let repairs = u64::from(cut > last);
        assert_eq!(assert_sound(copied.path()).entries[0], 7 + repairs, "cut at {cut}");
        assert_eq!(fs::read(&path).expect("a segment")[..last], whole[..last]);
        let torn = directory(copied.path()).join(format!("compliance-2026-11.torn-{last}"));
        assert_eq!(torn.exists(), cut > last);
        if cut > last {
            assert_eq!(fs::read(torn).expect("the torn end"), whole[last..cut]);
        }
    }
}

#[test]
fn pages_that_were_never_written_are_a_torn_end() {
    let dir = crashed(4);
    let path = segment(dir.path(), "compliance", "2026-11");
    let mut bytes = fs::read(&path).expect("a segment");
    bytes.extend_from_slice(&[0; 5_000]);
    fs::write(&path, &bytes).expect("a segment");
    drop(open(dir.path()));
    assert_eq!(assert_sound(dir.path()).entries[0], 8, "and the entry about the repair");
}

#[test]
fn nodes_and_indexes_are_made_again_from_the_lines() {
    for lost in ["tree.nodes", "nothing"] {
        let dir = crashed(9);
        let _ = fs::remove_file(directory(dir.path()).join(lost));
        let log = open(dir.path());
        let head = log.sign_tree_head().expect("a head");
        assert_eq!(head.size, 12);
        assert_eq!(log.query(&AuditQuery::newest(100)).expect("a page").records.len(), 12);
        drop(log);
        assert_sound(dir.path());
    }
}

#[test]
fn a_tree_file_with_wrong_nodes_at_its_end_is_repaired() {
    let dir = crashed(9);
    let path = directory(dir.path()).join("tree.nodes");
    let mut nodes = fs::read(&path).expect("nodes");
    let length = nodes.len();
    nodes[length - 40..].fill(0xee);
    nodes.extend_from_slice(&[0xee; 1_000]);
    fs::write(&path, nodes).expect("nodes");
    drop(open(dir.path()));
    assert_sound(dir.path());
}

#[test]
fn a_tree_head_of_which_a_page_was_never_written_is_removed() {
    let dir = crashed(4);
    let path = directory(dir.path()).join("heads-2026-11.log");
    let whole = fs::read(&path).expect("heads");
    for lost in [1, whole.len() / 2, whole.len() - 1] {
        let copied = tempfile::tempdir().expect("a folder");
        copy(dir.path(), copied.path());
        // The next head, whose end survived.
        let mut next = whole.clone();
        next[..lost].fill(0);
        let path = directory(copied.path()).join("heads-2026-11.log");
        fs::write(&path, [&whole[..], &next].concat()).expect("heads");
        let log = open(copied.path());
        assert_eq!(fs::read(&path).expect("heads"), whole, "the first {lost} bytes are lost");
        write(&log, 1);
        drop(log);
        assert_eq!(assert_sound(copied.path()).entries[0], 8);
    }
}

#[test]
fn an_anchor_that_was_cut_anywhere_is_left_out_and_the_next_ones_hold() {
    let dir = crashed(4);
    let whole = fs::read(anchors(dir.path())).expect("anchors");
    for cut in 0..whole.len() {
        let copied = tempfile::tempdir().expect("a folder");
        copy(dir.path(), copied.path());
        fs::write(anchors(copied.path()), &whole[..cut]).expect("anchors");
        for _ in 0..2 {
            let log = open(copied.path());
            write(&log, 1);
            drop(log);
        }
        let report = assert_sound(copied.path());
        assert_eq!(report.entries[0], 9, "cut at {cut}");
        // The head whose anchor was cut and is anchored again, and that of each stop, in the log and in the anchors. A line
        // that lacked only its line break is whole again.
        assert_eq!(report.tree_heads, 3 + 3 + u64::from(cut == whole.len() - 1), "cut at {cut}");
    }
}

#[test]
fn the_start_is_refused_if_entries_are_gone_that_were_signed_or_anchored() {
    let dir = crashed(4);
    let path = segment(dir.path(), "compliance", "2026-11");
    let mut all = lines(&path);
    // The header and three entries: one fewer than the head has.
    all.truncate(4);
    crate::kit::set_lines(&path, &all);
    let start = |dir: &tempfile::TempDir| {
        store::audit::open(&options(dir.path(), TestClock::at_day(TODAY)), keys())
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let refusal = start(&dir).expect_err("refused");
    assert!(refusal.contains("entries were cut off"), "{refusal}");
    assert_eq!(lines(&path).len(), 4, "nothing is changed");
    // The whole log is gone, and the anchors remember it.
    fs::remove_dir_all(directory(dir.path())).expect("removed");
    let refusal = start(&dir).expect_err("refused");
    assert!(refusal.contains("audit-anchors.log"), "{refusal}");
}

#[test]
fn the_start_is_refused_if_the_last_entry_was_changed() {
    let dir = crashed(4);
    let path = segment(dir.path(), "compliance", "2026-11");
    let mut all = lines(&path);
    let last = all.last_mut().expect("an entry");
    *last = last.replace("adm:", "xdm:");
    crate::kit::set_lines(&path, &all);
    let refusal = store::audit::open(&options(dir.path(), TestClock::at_day(TODAY)), keys()).map(|_| ());
    let refusal = refusal.expect_err("refused").to_string();
    assert!(refusal.contains("after number 6"), "{refusal}");
}
