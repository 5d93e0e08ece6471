//! The index: how many files a search opens, and that it finds everything whatever is left of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use domain::port::audit::{AuditCategory, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use store::audit::{self, AuditStore};

use crate::kit::{DAY, TODAY, TestClock, assert_sound, directory, entry, eventually, keys, options, user};
use crate::test_disk::TestDisk;

const RUN_LINES: u64 = 4;
const SUBJECTS: u64 = 7;

fn open(dir: &Path, clock: Arc<TestClock>) -> AuditStore {
    let mut options = options(dir, clock);
    options.run_lines = RUN_LINES;
    options.disk = Arc::new(TestDisk::default());
    audit::open(&options, keys()).unwrap_or_else(|error| panic!("the log opens: {error}"))
}

/// Writes entries about the subjects in turn.
fn write(log: &AuditStore, count: u64) {
    for number in 0..count {
        log.write_blocking(entry(AuditCategory::Compliance, number % SUBJECTS)).expect("an entry");
    }
}

/// Asserts that all of the first `count` entries of [`write`] are found by subject, each once.
#[track_caller]
fn assert_finds(log: &AuditStore, count: u64) {
    for subject in 0..SUBJECTS {
        let query = AuditQuery { subject: Some(user(subject)), ..AuditQuery::newest(10_000) };
        let found = log.query(&query).expect("a page").records;
        let found: Vec<u64> = found.iter().rev().map(|record| record.receipt.seq - 1).collect();
        let expected: Vec<u64> = (0..count).filter(|number| number % SUBJECTS == subject).collect();
        assert_eq!(found, expected, "subject {subject}");
    }
}

/// Returns the files of the compliance index with their content.
fn files(dir: &Path, part: &str) -> BTreeMap<String, Vec<u8>> {
    let items = fs::read_dir(directory(dir)).expect("a folder").map(|item| item.expect("an item").path());
    let named = items.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path));
    let wanted = named.filter(|(name, _)| name.starts_with("compliance-") && name.contains(part));
    wanted.filter_map(|(name, path)| Some((name, fs::read(path).ok()?))).collect()
}

#[test]
fn a_search_opens_few_files_while_a_month_is_open_and_one_when_it_is_closed() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open(dir.path(), clock.clone());
    write(&log, 511 * RUN_LINES);
    // 511 runs become seven of each of three levels, or fewer where the thread that merges lags.
    eventually("runs are merged", || {
        let runs = files(dir.path(), ".run-");
        let lines = runs.values().map(|bytes| u64::from_le_bytes(bytes[40..48].try_into().expect("eight bytes")));
        runs.len() <= 21 && lines.sum::<u64>() == 511 * RUN_LINES
    });
    assert_finds(&log, 511 * RUN_LINES);
    clock.advance(31 * DAY);
    log.write_blocking(entry(AuditCategory::Compliance, 99)).expect("an entry");
    eventually("the closed segment has one index", || {
        (files(dir.path(), ".run-").len(), files(dir.path(), ".index").len()) == (0, 1)
    });
    assert_finds(&log, 511 * RUN_LINES);
    drop(log);
    assert_sound(dir.path());
    assert_finds(&open(dir.path(), clock), 511 * RUN_LINES);
}

#[test]
fn a_search_finds_everything_whatever_is_left_of_the_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open(dir.path(), clock.clone());
    write(&log, 7 * RUN_LINES);
    eventually("there are runs", || files(dir.path(), ".run-").len() == 7);
    let before_merge = files(dir.path(), ".run-");
    write(&log, 5 * RUN_LINES);
    drop(log);
    // The number of the first entry of the second part goes on with that of the first one: 28 is a multiple of 7.
    let count = 12 * RUN_LINES;
    let put = |name: &String, bytes: &[u8]| fs::write(directory(dir.path()).join(name), bytes).expect("a file");
    // A crash has left the runs that were merged.
    before_merge.iter().for_each(|(name, bytes)| put(name, bytes));
    assert_finds(&open(dir.path(), clock.clone()), count);
    let left = files(dir.path(), ".run-");
    for (name, bytes) in &left {
        // Removed, cut, or changed.
        let _ = fs::remove_file(directory(dir.path()).join(name));
        assert_finds(&open(dir.path(), clock.clone()), count);
        put(name, &bytes[..bytes.len() - 3]);
        assert_finds(&open(dir.path(), clock.clone()), count);
        for at in [41, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            put(name, &changed);
            assert_finds(&open(dir.path(), clock.clone()), count);
        }
    }
    put(&"index.tmp".to_owned(), b"what a merge has left");
    drop(open(dir.path(), clock));
    assert!(!directory(dir.path()).join("index.tmp").exists());
    assert_sound(dir.path());
}
