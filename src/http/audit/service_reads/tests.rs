//! What is recorded of reads, compared with the reads themselves.

use std::collections::HashMap;

use domain::port::audit::{AuditError, AuditReceipt, AuditWrite};
use domain::table::{Leaf, LeafSet};

use super::*;

/// Keeps the entries.
#[derive(Default)]
pub(crate) struct KeptEntries(Mutex<Vec<AuditEntry>>);

impl AuditLog for KeptEntries {
    fn write(&self, entry: AuditEntry) -> AuditWrite {
        let outcome = self.write_blocking(entry);
        Box::pin(std::future::ready(outcome))
    }

    fn write_blocking(&self, _: AuditEntry) -> Result<AuditReceipt, AuditError> {
        Err(AuditError::Closed)
    }

    fn note(&self, entry: AuditEntry) {
        self.0.lock().push(entry);
    }
}

fn user(number: u64) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

/// Returns the number of reads that an entry stands for beyond the first of its hour.
fn count(entry: &AuditEntry) -> Option<i64> {
    entry.members.iter().find_map(|member| match member.value {
        AuditValue::Integer(count) if member.name == "count" => Some(count),
        _ => None,
    })
}

#[test]
fn the_first_read_of_an_hour_is_recorded_at_once_and_the_count_at_its_end() {
    let log = Arc::new(KeptEntries::default());
    let reads = ServiceReads::new(log.clone(), 0);
    let (a, b): (Arc<str>, Arc<str>) = (Arc::from("svc:a"), Arc::from("svc:b"));
    let (first, second) = (LeafSet::only(Leaf::IdentityGender), LeafSet::only(Leaf::DemographicsState));
    for leaves in [first, second, first] {
        reads.record(&a, "profile.read", &user(1), Disclosed::new(leaves, 1), || None);
    }
    reads.record(&b, "profile.read", &user(1), Disclosed::new(first, 1), || None);
    let entries = std::mem::take(&mut *log.0.lock());
    assert_eq!(entries.iter().map(|entry| (entry.fields, count(entry))).collect::<Vec<_>>(), [(first, None); 2]);
    reads.flush_worker(1);
    (0..PARTS).for_each(|_| reads.tick(MICROS_PER_HOUR + GRACE_MICROS));
    let entries = std::mem::take(&mut *log.0.lock());
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.fields, count(entry)), (first.or(second), Some(3)));
    assert_eq!(entry.actor, AuditActor::Caller(Arc::from("svc:a")), "nothing was counted for the other");
    // The next hour begins anew.
    reads.record(&a, "profile.read", &user(1), Disclosed::new(first, 1), || None);
    assert_eq!(log.0.lock().len(), 1);
}

#[test]
fn several_workers_record_a_first_read_once() {
    let log = Arc::new(KeptEntries::default());
    let reads = ServiceReads::new(log.clone(), 0);
    std::thread::scope(|scope| {
        let work = || {
            let service: Arc<str> = Arc::from("svc:a");
            (0..1_000).for_each(|_| reads.record(&service, "profile.read", &user(1), Disclosed::NOTHING, || None));
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        // A worker passes its counts on when its thread ends. The scope alone waits for the closures, not for that.
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
    reads.finish();
    assert_eq!(log.0.lock().iter().map(count).collect::<Vec<_>>(), [None, Some(4_000)]);
}

#[test]
fn no_read_is_lost_however_many_users_are_read() {
    let log = Arc::new(KeptEntries::default());
    let reads = ServiceReads::new(log.clone(), 0);
    let service: Arc<str> = Arc::from("svc:scan");
    let mut expected: HashMap<UserId, i64> = HashMap::new();
    for number in 0..400_000_u64 {
        let user = user(number * number % 150_000);
        reads.record(&service, "profile.read", &user, Disclosed::NOTHING, || None);
        *expected.entry(user).or_default() += 1;
    }
    reads.finish();
    // A read that is recorded when a pair takes a place counts again in the entry when it loses it.
    let mut found: HashMap<UserId, i64> = HashMap::new();
    let mut is_after_first: HashMap<UserId, bool> = HashMap::new();
    for entry in log.0.lock().iter() {
        let user = entry.subject.expect("a user");
        let added = count(entry).map_or(1, |count| if is_after_first[&user] { count - 1 } else { count });
        is_after_first.insert(user, count(entry).is_none());
        *found.entry(user).or_default() += added;
    }
    assert_eq!(found, expected);
}

#[test]
fn the_end_waits_for_a_worker_that_ends_late() {
    let log = Arc::new(KeptEntries::default());
    let reads = ServiceReads::new(log.clone(), 0);
    let [counted, ended] = [(); 2].map(|()| Arc::new(std::sync::Barrier::new(2)));
    let worker = {
        let (counted, ended, reads) = (Arc::clone(&counted), Arc::clone(&ended), Arc::clone(&reads));
        std::thread::spawn(move || {
            let service: Arc<str> = Arc::from("svc:a");
            (0..7).for_each(|_| reads.record(&service, "profile.read", &user(1), Disclosed::NOTHING, || None));
            counted.wait();
            ended.wait();
            std::thread::sleep(Duration::from_millis(20));
        })
    };
    counted.wait();
    ended.wait();
    reads.finish();
    assert_eq!(log.0.lock().iter().map(count).collect::<Vec<_>>(), [None, Some(7)]);
    worker.join().expect("a worker");
}

#[test]
fn the_counts_of_an_hour_are_recorded_part_by_part() {
    let log = Arc::new(KeptEntries::default());
    let reads = ServiceReads::new(log.clone(), 0);
    let service: Arc<str> = Arc::from("svc:a");
    for number in (0..1_000).flat_map(|number| [number, number]) {
        reads.record(&service, "profile.read", &user(number), Disclosed::NOTHING, || None);
    }
    reads.flush_worker(1);
    log.0.lock().clear();
    let recorded = |_| {
        reads.tick(MICROS_PER_HOUR + GRACE_MICROS);
        std::mem::take(&mut *log.0.lock()).len()
    };
    let recorded: Vec<usize> = (0..PARTS).map(recorded).collect();
    assert!(recorded.iter().all(|count| (1..200).contains(count)), "{recorded:?}");
    // Pairs that shared a place were recorded when one took it over from the other.
    assert!(recorded.iter().sum::<usize>() > 900, "{recorded:?}");
    reads.tick(MICROS_PER_HOUR + GRACE_MICROS);
    assert!(log.0.lock().is_empty(), "the hour is recorded once");
}
