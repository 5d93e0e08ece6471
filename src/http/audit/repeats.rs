//! Entries that would come again and again, such as failed authentication: one for each caller and minute, with a count, so
//! that nobody can fill the log.
//!
//! The first one is recorded at once. What comes within the minute after it is counted, and recorded when the minute is over,
//! which begins the next minute. The table has a fixed size: callers beyond it are counted together.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use parking_lot::Mutex;

/// Callers that are counted apart in a minute.
const CALLERS: usize = 4_096;
const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Whose entries repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RepeatedCaller {
    /// A client without accepted credentials: its address, of IPv6 the /64 network.
    Address(IpAddr),
    /// An authenticated caller.
    Known(AuditActor),
}

/// Counts entries of the category `security`.
pub(crate) struct RepeatedEntries {
    log: Arc<dyn AuditLog>,
    table: Mutex<RepeatTable>,
    /// The time of the last tick, so that a refusal needs no clock.
    now: AtomicI64,
}

struct RepeatTable {
    places: Box<[Option<Repeated>]>,
    /// By action, the entries of callers who have no place.
    others: Vec<(&'static str, u64)>,
    others_since: i64,
}

/// What is counted of one caller.
struct Repeated {
    action: &'static str,
    caller: RepeatedCaller,
    /// When the last entry was recorded, in microseconds since the Unix epoch.
    recorded_at: i64,
    /// The entries since then.
    count: u64,
}

impl RepeatedEntries {
    /// Returns empty counts at a time in microseconds since the Unix epoch.
    pub(crate) fn new(log: Arc<dyn AuditLog>, now: i64) -> Arc<Self> {
        let places = std::iter::repeat_with(|| None).take(CALLERS).collect();
        let table = Mutex::new(RepeatTable { places, others: Vec::new(), others_since: 0 });
        Arc::new(Self { log, table, now: AtomicI64::new(now) })
    }

    /// Records or counts that `caller` was refused.
    pub(crate) fn record(&self, action: &'static str, caller: RepeatedCaller) {
        let now = self.now.load(Ordering::Relaxed);
        let caller = caller.network();
        let place = place_of(action, &caller);
        let mut table = self.table.lock();
        match &mut table.places[place] {
            Some(known) if known.action == action && known.caller == caller => known.count += 1,
            Some(known) if now - known.recorded_at < MICROS_PER_MINUTE => table.count_other(action, now),
            free => {
                let taken = free.replace(Repeated { action, caller: caller.clone(), recorded_at: now, count: 0 });
                drop(table);
                self.note(taken);
                self.log.note(entry(action, &caller, 1));
            }
        }
    }

    /// Sets the time, and records the counts of minutes that are over. Called every second or so.
    pub(crate) fn tick(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
        self.record_since(now - MICROS_PER_MINUTE, now);
    }

    /// Records all counts.
    pub(crate) fn finish(&self) {
        self.record_since(i64::MAX, i64::MAX);
    }

    /// Records the counts that began at `since` or before. Callers who were quiet lose their places.
    fn record_since(&self, since: i64, now: i64) {
        let mut table = self.table.lock();
        let (mut due, mut others) = (Vec::new(), Vec::new());
        for place in &mut table.places {
            if let Some(known) = place.as_mut().filter(|known| known.recorded_at <= since) {
                if known.count == 0 {
                    *place = None;
                } else {
                    due.push(entry(known.action, &known.caller, std::mem::take(&mut known.count)));
                    known.recorded_at = now;
                }
            }
        }
        if table.others_since <= since {
            others.append(&mut table.others);
        }
        drop(table);
        due.into_iter().for_each(|entry| self.log.note(entry));
        for (action, count) in others {
            let entry = AuditEntry::new(AuditCategory::Security, action, AuditActor::Anonymous);
            self.log.note(entry.with("count", integer(count)).with("others", AuditValue::Bool(true)));
        }
    }

    fn note(&self, taken: Option<Repeated>) {
        if let Some(taken) = taken.filter(|taken| taken.count > 0) {
            self.log.note(entry(taken.action, &taken.caller, taken.count));
        }
    }
}

impl RepeatTable {
    fn count_other(&mut self, action: &'static str, now: i64) {
        if self.others.is_empty() {
            self.others_since = now;
        }
        match self.others.iter_mut().find(|(known, _)| *known == action) {
            Some((_, count)) => *count += 1,
            None => self.others.push((action, 1)),
        }
    }
}

impl RepeatedCaller {
    /// Returns the caller with the network of an IPv6 address in its place.
    fn network(self) -> Self {
        match self {
            Self::Address(IpAddr::V6(address)) => {
                Self::Address(IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()))
            }
            other => other,
        }
    }
}

fn place_of(action: &str, caller: &RepeatedCaller) -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (action, caller).hash(&mut hasher);
    hasher.finish() as usize % CALLERS
}

fn entry(action: &'static str, caller: &RepeatedCaller, count: u64) -> AuditEntry {
    let (actor, address) = match caller {
        RepeatedCaller::Address(address) => (AuditActor::Anonymous, Some(*address)),
        RepeatedCaller::Known(actor) => (actor.clone(), None),
    };
    let mut entry = AuditEntry::new(AuditCategory::Security, action, actor).with("count", integer(count));
    entry.decision = domain::port::audit::AuditDecision::Denied;
    match address {
        Some(address) => entry.with("address", AuditValue::Address(address)),
        None => entry,
    }
}

fn integer(count: u64) -> AuditValue {
    AuditValue::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use domain::port::audit::{AuditError, AuditReceipt, AuditWrite};

    use super::*;

    #[derive(Default)]
    struct KeptEntries(Mutex<Vec<AuditEntry>>);

    impl AuditLog for KeptEntries {
        fn write(&self, _: AuditEntry) -> AuditWrite {
            Box::pin(std::future::ready(Err(AuditError::Closed)))
        }

        fn write_blocking(&self, _: AuditEntry) -> Result<AuditReceipt, AuditError> {
            Err(AuditError::Closed)
        }

        fn note(&self, entry: AuditEntry) {
            self.0.lock().push(entry);
        }
    }

    fn count(entry: &AuditEntry) -> i64 {
        match entry.members[0].value {
            AuditValue::Integer(count) => count,
            _ => panic!("the first member is the count"),
        }
    }

    fn address(number: u32) -> RepeatedCaller {
        RepeatedCaller::Address(IpAddr::V4(number.into()))
    }

    #[test]
    fn a_caller_has_one_entry_a_minute_with_a_count() {
        let log = Arc::new(KeptEntries::default());
        let repeats = RepeatedEntries::new(log.clone(), 1_000_000);
        let counts = || std::mem::take(&mut *log.0.lock()).iter().map(count).collect::<Vec<_>>();
        for _ in 0..5 {
            repeats.record("authentication.failed", address(1));
        }
        assert_eq!(counts(), [1], "the first is recorded at once");
        repeats.tick(2_000_000);
        assert!(counts().is_empty());
        repeats.tick(61_000_000);
        assert_eq!(counts(), [4]);
        repeats.record("authentication.failed", address(1));
        assert!(counts().is_empty(), "a minute since the last entry has not passed");
        repeats.finish();
        assert_eq!(counts(), [1]);
        repeats.finish();
        assert!(counts().is_empty());
    }

    #[test]
    fn a_million_callers_make_a_bounded_number_of_entries_and_none_is_forgotten() {
        let log = Arc::new(KeptEntries::default());
        let repeats = RepeatedEntries::new(log.clone(), 1_000_000);
        for number in 0..1_000_000 {
            repeats.record("authentication.failed", address(number));
        }
        repeats.finish();
        let entries = log.0.lock();
        assert!(entries.len() <= CALLERS + 1, "{}", entries.len());
        assert_eq!(entries.iter().map(count).sum::<i64>(), 1_000_000);
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        let log = Arc::new(KeptEntries::default());
        let repeats = RepeatedEntries::new(log.clone(), 1_000_000);
        for text in ["2001:db8::1", "2001:db8::ffff:2"] {
            repeats.record("limit.reached", RepeatedCaller::Address(text.parse().expect("an address")));
        }
        assert_eq!(log.0.lock().len(), 1);
    }
}
