//! A wall clock that jumps: numbers and segments keep their order, times are what the clock said, and nothing is lost.

use domain::port::audit::{AuditCategory, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use store::audit::AuditStore;

use crate::kit::{DAY, TestClock, assert_sound, directory, entry, lines, open_at, segment, write};

/// 2026-12-01, in days since the Unix epoch.
const FIRST_OF_DECEMBER: i64 = 20_788;

/// Returns the numbers of the entries between two times, the oldest first.
fn between(log: &AuditStore, from: i64, until: i64) -> Vec<u64> {
    let query = AuditQuery { from: Some(from), until: Some(until), ..AuditQuery::newest(1_000) };
    let records = log.query(&query).expect("a page").records;
    records.iter().rev().map(|record| record.receipt.seq).collect()
}

#[test]
fn a_day_backwards_over_the_start_of_a_month_stays_in_the_later_segment() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(FIRST_OF_DECEMBER - 1);
    let log = open_at(dir.path(), clock.clone());
    write(&log, 2);
    clock.advance(DAY);
    write(&log, 2);
    log.sign_tree_head().expect("a head");
    clock.advance(-DAY);
    write(&log, 2);
    log.sign_tree_head().expect("a head");
    let day = |days: i64| (FIRST_OF_DECEMBER + days) * DAY;
    assert_eq!(between(&log, day(-1), day(0)), [1, 2, 5, 6], "by the time that the clock said");
    assert_eq!(between(&log, day(0), day(1)), [3, 4]);
    drop(log);
    assert_eq!(lines(&segment(dir.path(), "compliance", "2026-11")).len(), 1 + 2);
    assert_eq!(lines(&segment(dir.path(), "compliance", "2026-12")).len(), 1 + 4);
    assert_eq!(assert_sound(dir.path()).signed, 6);
    // A start with the earlier clock goes on in the later segment, too.
    let log = open_at(dir.path(), clock);
    assert_eq!(log.write_blocking(entry(AuditCategory::Compliance, 1)).expect("an entry").seq, 7);
    drop(log);
    assert_eq!(lines(&segment(dir.path(), "compliance", "2026-12")).len(), 1 + 5);
    assert_eq!(assert_sound(dir.path()).entries[0], 7);
}

#[test]
fn a_month_forwards_and_back_leaves_one_order_and_removes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(FIRST_OF_DECEMBER);
    let log = open_at(dir.path(), clock.clone());
    let write_all = || {
        for category in AuditCategory::ALL {
            log.write_blocking(entry(category, 1)).expect("an entry");
        }
        log.sign_tree_head().expect("a head");
    };
    write_all();
    clock.advance(31 * DAY);
    write_all();
    clock.advance(-31 * DAY);
    write_all();
    // The calendar catches up.
    clock.advance(32 * DAY);
    write_all();
    drop(log);
    for category in AuditCategory::ALL {
        assert_eq!(lines(&segment(dir.path(), category.name(), "2026-12")).len(), 1 + 1);
        assert_eq!(lines(&segment(dir.path(), category.name(), "2027-01")).len(), 1 + 3);
    }
    let heads = lines(&directory(dir.path()).join("heads-2027-01.log")).len();
    assert_eq!((lines(&directory(dir.path()).join("heads-2026-12.log")).len(), heads), (1, 3));
    let report = assert_sound(dir.path());
    assert_eq!((report.entries, report.removed), ([4; 3], [0; 3]));
    let log = open_at(dir.path(), clock);
    let times: Vec<i64> = {
        let page = log.query(&AuditQuery { categories: vec![AuditCategory::Security], ..AuditQuery::newest(9) });
        page.expect("a page").records.iter().map(|record| record.receipt.time / DAY - FIRST_OF_DECEMBER).collect()
    };
    assert_eq!(times, [32, 0, 31, 0], "the newest first, with the times that the clock said");
}
