//! Counts the reads of services for the audit log: an entry at a service's first read of a user in an hour, and at the end of
//! the hour one with the count and the fields of all of them.
//!
//! A read that was seen before costs a look into the worker's own table: no lock, and no entry. The tables of the workers pass
//! their counts on to a shared one when the hour has ended, or when another pair of service and user needs the place.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::day::format_instant;
use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use parking_lot::Mutex;

use super::count_table::{CountTable, Counted, ReadKey};
use super::disclosed::Disclosed;

/// Places in the table of a worker, of about 100 bytes each.
const WORKER_PLACES: usize = 4_096;
/// Places in each part of the shared table.
const PART_PLACES: usize = 4_096;
const PARTS: usize = 16;
const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Time after an hour in which workers pass on their counts of it.
const GRACE_MICROS: i64 = 20_000_000;
/// How often a worker looks whether the hour has ended.
const WORKER_TICK: Duration = Duration::from_secs(5);
/// How long the end of the server waits for its workers to pass on their counts.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// Time between two looks whether they have.
const WAIT_STEP: Duration = Duration::from_millis(1);

/// The shared counts.
pub(crate) struct ServiceReads {
    log: Arc<dyn AuditLog>,
    parts: [Mutex<CountTable>; PARTS],
    /// The present hour since the Unix epoch, so that a read needs no clock.
    hour: AtomicI64,
    /// The hour before which counts are recorded, and the number of parts whose counts are not recorded yet, so that each
    /// part is searched once an hour.
    due: Mutex<DueParts>,
    /// Number of threads that have counts of their own.
    workers: AtomicUsize,
}

/// The parts whose counts are to be recorded.
struct DueParts {
    before: i64,
    left: usize,
}

/// The counts of one worker.
struct WorkerReads {
    shared: Arc<ServiceReads>,
    table: CountTable,
    /// The hour before which counts were passed on. Later reads on this thread are of this hour or a later one.
    passed_before: i64,
}

thread_local! {
    static WORKER: RefCell<Option<WorkerReads>> = const { RefCell::new(None) };
}

impl ServiceReads {
    /// Returns empty counts at a time in microseconds since the Unix epoch.
    pub(crate) fn new(log: Arc<dyn AuditLog>, now: i64) -> Arc<Self> {
        let parts = std::array::from_fn(|_| Mutex::new(CountTable::new(PART_PLACES)));
        let hour = AtomicI64::new(now.div_euclid(MICROS_PER_HOUR));
        let due = Mutex::new(DueParts { before: i64::MIN, left: 0 });
        Arc::new(Self { log, parts, hour, due, workers: AtomicUsize::new(0) })
    }

    /// Counts a read of `user` by the service `subject`, which something was disclosed to. The purpose is asked for if
    /// this is the first read of the hour. Called on a worker's thread.
    pub(crate) fn record(
        self: &Arc<Self>,
        subject: &Arc<str>,
        action: &'static str,
        user: &UserId,
        disclosed: Disclosed,
        purpose: impl FnOnce() -> Option<String>,
    ) {
        let hour = self.hour.load(Ordering::Relaxed);
        WORKER.with_borrow_mut(|worker| {
            let worker = match worker {
                Some(worker) if Arc::ptr_eq(&worker.shared, self) => worker,
                other => other.insert(WorkerReads::new(self)),
            };
            if worker.table.count(hour, subject, action, user, disclosed) {
                return;
            }
            let key = ReadKey { hour, subject: Arc::clone(subject), action, user: *user };
            self.add(key.clone(), 1, disclosed, purpose);
            // The read is counted already; the place only notices the next ones.
            if let Some((key, counted)) = worker.table.replace(key, Counted { reads: 0, disclosed }) {
                self.add(key, counted.reads, counted.disclosed, || None);
            }
        });
    }

    /// Passes the counts of ended hours on from the worker that this is called on, while the worker lives. What is left then
    /// is passed on when its thread ends.
    pub(crate) fn start_worker(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        actix_web::rt::spawn(async move {
            loop {
                actix_web::rt::time::sleep(WORKER_TICK).await;
                shared.flush_worker(shared.hour.load(Ordering::Relaxed));
            }
        });
    }

    /// Passes on the counts of hours before `hour` from the worker that this is called on.
    fn flush_worker(&self, hour: i64) {
        WORKER.with_borrow_mut(|worker| {
            if let Some(worker) = worker.as_mut().filter(|worker| std::ptr::eq(&*worker.shared, self)) {
                worker.pass_on(hour);
            }
        });
    }

    /// Adds reads to the shared counts, and records the first one of the hour.
    fn add(&self, key: ReadKey, reads: u64, disclosed: Disclosed, purpose: impl FnOnce() -> Option<String>) {
        if reads == 0 {
            return;
        }
        let mut part = self.parts[key.part(PARTS)].lock();
        if part.add(&key, reads, disclosed) {
            return;
        }
        self.log.note(AuditEntry { purpose: purpose(), ..entry(&key, disclosed) });
        if let Some((key, counted)) = part.replace(key, Counted { reads, disclosed }) {
            self.record_count(&key, counted);
        }
    }

    /// Records what was counted beyond the first read.
    fn record_count(&self, key: &ReadKey, counted: Counted) {
        if counted.reads > 1 {
            let hour = format_instant(key.hour.saturating_mul(MICROS_PER_HOUR));
            let entry = entry(key, counted.disclosed)
                .with("count", AuditValue::Integer(i64::try_from(counted.reads).unwrap_or(i64::MAX)))
                .with("hour", AuditValue::Text(hour.into()));
            self.log.note(entry);
        }
    }

    /// Sets the time, and records the counts of hours that have ended, of one part with each call: all of them together are
    /// more than the audit log's queue takes. Called about once a second.
    pub(crate) fn tick(&self, now: i64) {
        self.hour.store(now.div_euclid(MICROS_PER_HOUR), Ordering::Relaxed);
        let before = (now - GRACE_MICROS).div_euclid(MICROS_PER_HOUR);
        let mut due = self.due.lock();
        if due.before != before {
            // What a late worker adds for an hour that was recorded is recorded with the next one.
            *due = DueParts { before, left: PARTS };
        }
        if let Some(left) = due.left.checked_sub(1) {
            due.left = left;
            drop(due);
            self.record_part(&self.parts[left], before);
        }
    }

    /// Records all counts, when no worker counts any more. Blocks until their threads have ended, for a bounded time: a
    /// thread passes its counts on when it ends, which is some time after it has taken its last request.
    pub(crate) fn finish(&self) {
        WORKER.with_borrow_mut(|worker| drop(worker.take_if(|worker| std::ptr::eq(&*worker.shared, self))));
        let started = Instant::now();
        while self.workers.load(Ordering::Acquire) > 0 && started.elapsed() < MAX_WAIT {
            std::thread::sleep(WAIT_STEP);
        }
        for part in &self.parts {
            self.record_part(part, i64::MAX);
            self.log.flush();
        }
    }

    /// Records the counts of a part for hours before `hour`.
    fn record_part(&self, part: &Mutex<CountTable>, hour: i64) {
        let ended = part.lock().take_before(hour);
        ended.into_iter().for_each(|(key, counted)| self.record_count(&key, counted));
    }
}

fn entry(key: &ReadKey, disclosed: Disclosed) -> AuditEntry {
    let actor = AuditActor::Caller(Arc::clone(&key.subject));
    let entry = AuditEntry::new(AuditCategory::Operations, key.action, actor);
    let Disclosed { leaves: fields, generation } = disclosed;
    AuditEntry { subject: Some(key.user), fields, generation, ..entry }
}

impl WorkerReads {
    fn new(shared: &Arc<ServiceReads>) -> Self {
        shared.workers.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(shared), table: CountTable::local(WORKER_PLACES), passed_before: i64::MIN }
    }

    fn pass_on(&mut self, hour: i64) {
        if std::mem::replace(&mut self.passed_before, hour) == hour {
            return;
        }
        for (key, counted) in self.table.take_before(hour) {
            self.shared.add(key, counted.reads, counted.disclosed, || None);
        }
    }
}

impl Drop for WorkerReads {
    fn drop(&mut self) {
        self.pass_on(i64::MAX);
        self.shared.workers.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
