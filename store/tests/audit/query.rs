//! Queries, compared with a search through all entries.

use domain::port::audit::{AuditActor, AuditCategory, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditRecord, AuditTrail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::audit::{AuditOptions, AuditStore};

use crate::kit::{DAY, TODAY, TestClock, entry, keys, open_at, options, user};

/// Reads all pages of a query.
fn all(log: &AuditStore, query: &AuditQuery) -> Vec<AuditRecord> {
    let (mut query, mut records) = (query.clone(), Vec::new());
    loop {
        let page = log.query(&query).expect("a page");
        assert!(page.records.len() <= query.limit);
        assert!(!page.records.is_empty() || page.next.is_none(), "a page without progress");
        records.extend(page.records);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return records,
        }
    }
}

#[test]
fn a_query_finds_what_a_search_finds_in_pages_of_any_size() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    // Over many runs of the index, which are merged meanwhile.
    let open = || {
        let options = AuditOptions { run_lines: 4, ..options(dir.path(), clock.clone()) };
        store::audit::open(&options, keys()).expect("a log")
    };
    let mut log = open();
    let seed = 11;
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..12 {
        for _ in 0..60 {
            let category = AuditCategory::ALL[random.random_range(0..3)];
            let number = random.random_range(0..12);
            log.note(entry(category, number));
        }
        // Over several segments, parts of indexes, and starts.
        log.write_blocking(entry(AuditCategory::Compliance, 1)).expect("an entry");
        clock.advance(random.random_range(-2..12) * DAY);
        if round % 5 == 4 {
            drop(log);
            log = open();
        }
    }
    let everything = all(&log, &AuditQuery::newest(1_000));
    assert_eq!(everything.len(), 12 * 61);
    for _ in 0..200 {
        let mut query = AuditQuery::newest(random.random_range(1..50));
        query.categories.retain(|_| random.random_bool(0.7));
        query.subject = random.random_bool(0.5).then(|| user(random.random_range(0..14)));
        query.actor =
            random.random_bool(0.3).then(|| AuditActor::Caller(format!("adm:{}", random.random_range(0..4)).into()));
        query.action = random.random_bool(0.3).then(|| "consent.write".to_owned());
        let mut time = || random.random_bool(0.3).then(|| (TODAY + random.random_range(0..60)) * DAY);
        (query.from, query.until) = (time(), time());
        let fits = |record: &&AuditRecord| {
            let place = record.receipt;
            let contains = |text: String| record.line.contains(&text);
            let number = |user: domain::id::UserId| user.as_str()[4..].parse::<u64>().expect("a number");
            query.categories.contains(&place.category)
                && query.from.is_none_or(|from| place.time >= from)
                && query.until.is_none_or(|until| place.time < until)
                && query.subject.is_none_or(|user| contains(format!("\"number\":{},", number(user))))
                && query.action.as_ref().is_none_or(|action| contains(format!("\"action\":\"{action}\"")))
                && query.actor.as_ref().is_none_or(|actor| match actor {
                    AuditActor::Caller(name) => contains(format!("\"actor\":\"{name}\"")),
                    _ => false,
                })
        };
        let mut expected: Vec<_> = everything.iter().filter(fits).cloned().collect();
        let mut found = all(&log, &query);
        for category in AuditCategory::ALL {
            let of = |records: &[AuditRecord]| {
                let records = records.iter().filter(|record| record.receipt.category == category);
                records.map(|record| record.receipt.seq).collect::<Vec<_>>()
            };
            assert!(of(&found).is_sorted_by(|a, b| a > b), "seed {seed}: the newest first");
            assert_eq!(of(&found), of(&expected), "seed {seed}: {query:?}");
        }
        let key = |record: &AuditRecord| (record.receipt.category as usize, record.receipt.seq);
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert_eq!(found, expected, "seed {seed}: {query:?}");
    }
}

#[test]
fn entries_of_all_categories_come_in_the_order_of_their_times() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at_day(TODAY);
    let log = open_at(dir.path(), clock.clone());
    for number in 0..30 {
        log.write_blocking(entry(AuditCategory::ALL[number as usize % 3], number)).expect("an entry");
        clock.advance(1_000);
    }
    let mut query = AuditQuery::newest(7);
    query.subject = None;
    let times: Vec<i64> = all(&log, &query).iter().map(|record| record.receipt.time).collect();
    assert_eq!(times.len(), 30);
    assert!(times.is_sorted_by(|a, b| a > b));
}
