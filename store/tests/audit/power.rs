//! A writer that is killed, with the power cut at the same moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use domain::port::audit::{AuditCategory, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::audit;

use crate::kit::{DAY, TODAY, TestClock, assert_sound, directory, entry, keys, options};
use crate::test_disk::TestDisk;

/// Asserts that a log has the entries about these users.
fn assert_has(dir: &Path, numbers: &[u64], context: &str) {
    let mut options = options(dir, TestClock::at_day(TODAY + 70));
    options.disk = Arc::new(TestDisk::default());
    let log = audit::open(&options, keys()).unwrap_or_else(|error| panic!("{context}: {error}"));
    let page = log.query(&AuditQuery::newest(1_000_000)).expect("a page");
    let number = |line: &str| line.split_once("\"number\":")?.1.split(',').next()?.parse::<u64>().ok();
    let recorded: BTreeSet<u64> = page.records.iter().filter_map(|record| number(&record.line)).collect();
    let lost: Vec<_> = numbers.iter().filter(|number| !recorded.contains(number)).collect();
    assert!(lost.is_empty(), "{context}: lost are {lost:?}");
    drop(log);
    assert_sound(dir);
}

#[test]
fn no_entry_that_was_acknowledged_is_lost_by_a_power_cut_at_any_moment() {
    let seed = 17;
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let (disk, clock) = (TestDisk::default(), TestClock::at_day(TODAY));
    let mut options = options(dir.path(), clock.clone());
    // Runs of the index, merges and tree heads come often.
    (options.disk, options.run_lines) = (Arc::new(disk.clone()), 16);
    options.head_interval = std::time::Duration::from_millis(5);
    let log = audit::open(&options, keys()).expect("a log");
    let (acknowledged, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    // Held while a copy is checked, so that the log does not grow too long.
    let pause = RwLock::new(());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (log, acknowledged, is_over, pause) = (&log, &acknowledged, &is_over, &pause);
            scope.spawn(move || {
                let mut number = thread * 1_000_000;
                while !is_over.load(Ordering::Relaxed) {
                    let _running = pause.read().expect("no panic");
                    log.write_blocking(entry(AuditCategory::Compliance, number)).expect("an entry");
                    acknowledged.lock().expect("no panic").push(number);
                    log.note(entry(AuditCategory::Operations, number));
                    number += 1;
                }
            });
        }
        for cut in 0..24 {
            let before = acknowledged.lock().expect("no panic").len();
            while acknowledged.lock().expect("no panic").len() < before + random.random_range(1..60) {
                std::thread::yield_now();
            }
            if cut % 8 == 7 {
                clock.advance(20 * DAY);
            }
            let copy = tempfile::tempdir().expect("a folder");
            let promised = acknowledged.lock().expect("no panic").clone();
            disk.power_cut(&directory(dir.path()), &directory(copy.path()), random.random_range(0..=8));
            let _paused = pause.write().expect("no panic");
            assert_has(copy.path(), &promised, &format!("seed {seed}, cut {cut}"));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    drop(log);
    assert_sound(dir.path());
}

#[test]
fn little_enough_is_unsynced_for_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = TestDisk::default();
    let mut options = options(dir.path(), TestClock::at_day(TODAY));
    options.disk = Arc::new(disk.clone());
    let log = audit::open(&options, keys()).expect("a log");
    // More than 16 MiB that nobody waits for.
    disk.hold("security");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| log.write_blocking(entry(AuditCategory::Security, 0)));
        disk.wait_until_held();
        let reason = "x".repeat(60_000);
        for number in 0..400 {
            let mut entry = entry(AuditCategory::Operations, number);
            entry.reason = Some(reason.clone());
            log.note(entry);
        }
        disk.release();
        held.join().expect("an outcome").expect("an entry");
    });
    // All of them are written in one batch, with this one.
    log.write_blocking(entry(AuditCategory::Compliance, 1)).expect("an entry");
    drop(log);
    let most = disk.most_unsynced();
    assert!((8 << 20..9 << 20).contains(&most), "{most} bytes were not synced");
    assert_eq!(assert_sound(dir.path()).entries, [1, 1, 400]);
}
