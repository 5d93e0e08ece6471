//! Records calls of known callers that were refused: the first of a kind at once, and the others once a minute with their
//! number, so that refusals do not fill the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use domain::id::UserId;
use domain::limits::{DueRefusals, RefusalCount, RefusalLog};
use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditValue};
use parking_lot::Mutex;

/// Maximum number of refusals that are counted apart.
const CAPACITY: usize = 10_000;
/// Number of places that one caller takes within a minute before its further refusals are counted without the user that
/// they concern, so that it cannot take the places of all others.
const MAX_PER_CALLER: u32 = 100;
const MICROS_PER_MINUTE: u64 = 60_000_000;

/// A kind of refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Denial {
    /// What was refused, such as `profile.read`.
    pub(crate) action: &'static str,
    pub(crate) actor: AuditActor,
    /// Whom it concerns: the user of the path, whether or not there is one with that id.
    pub(crate) subject: Option<UserId>,
    /// The name of the problem that the caller was answered with.
    pub(crate) problem: &'static str,
}

/// Records calls that were refused.
pub(crate) struct Denials {
    log: Arc<dyn AuditLog>,
    start: Instant,
    table: Mutex<DenialTable>,
}

struct DenialTable {
    open: RefusalLog<Denial>,
    /// Number of places that each caller has taken since this minute began. `open` keeps a place for a minute, so it has all
    /// of them, and these are no more callers than it has places. What was taken in the minute before comes on top.
    taken: HashMap<AuditActor, u32>,
    minute: u64,
}

impl Denials {
    /// Returns an empty table, whose entries go to `log`.
    pub(crate) fn new(log: Arc<dyn AuditLog>) -> Self {
        let table = DenialTable { open: RefusalLog::new(CAPACITY), taken: HashMap::new(), minute: 0 };
        Self { log, start: Instant::now(), table: Mutex::new(table) }
    }

    /// Records a refusal. `request_id` and `tenant` are those of the call, for the entry of the first of its kind.
    pub(crate) fn record(&self, denial: Denial, tenant: u32, request_id: impl FnOnce() -> Option<String>) {
        let Some(denial) = self.table.lock().count(denial, self.now()) else { return };
        self.log.note(AuditEntry { tenant, request_id: request_id(), ..entry(&denial) });
    }

    /// Records the refusals of the minutes that are over. Called about once a second.
    pub(crate) fn tick(&self) {
        self.record_until(self.now());
    }

    /// Records all refusals that were counted, when the server stops.
    pub(crate) fn finish(&self) {
        self.record_until(u64::MAX);
    }

    fn record_until(&self, now: u64) {
        let DueRefusals { counts, others } = self.table.lock().open.due(now);
        for RefusalCount { key, count } in counts {
            self.log.note(entry(&key).with("count", integer(count)));
        }
        for (action, count) in others {
            let entry = denied(action, AuditActor::System).with("several", AuditValue::Text("callers".into()));
            self.log.note(entry.with("count", integer(count)));
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl DenialTable {
    /// Counts a refusal at the time `now`. Returns the kind that it was counted as if it is the first of it.
    fn count(&mut self, mut denial: Denial, now: u64) -> Option<Denial> {
        let minute = now / MICROS_PER_MINUTE;
        if std::mem::replace(&mut self.minute, minute) != minute {
            self.taken.clear();
        }
        if self.taken.get(&denial.actor).is_some_and(|taken| *taken >= MAX_PER_CALLER) {
            denial.subject = None;
        }
        if !self.open.count(denial.clone(), denial.action, now) {
            return None;
        }
        *self.taken.entry(denial.actor.clone()).or_default() += 1;
        Some(denial)
    }
}

fn entry(denial: &Denial) -> AuditEntry {
    let Denial { action, actor, subject, problem } = denial;
    AuditEntry { subject: *subject, ..denied(action, actor.clone()) }
        .with("problem", AuditValue::Text((*problem).into()))
}

fn denied(action: &'static str, actor: AuditActor) -> AuditEntry {
    AuditEntry { decision: AuditDecision::Denied, ..AuditEntry::new(AuditCategory::Security, action, actor) }
}

fn integer(count: u64) -> AuditValue {
    AuditValue::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(caller: &str, user: u32) -> Denial {
        let subject = UserId::parse(&format!("usr_{user:012}")).ok();
        Denial { action: "profile.read", actor: AuditActor::Caller(caller.into()), subject, problem: "unknown-user" }
    }

    fn table() -> DenialTable {
        DenialTable { open: RefusalLog::new(CAPACITY), taken: HashMap::new(), minute: 0 }
    }

    #[test]
    fn a_caller_that_tries_many_users_takes_a_bounded_number_of_places() {
        let mut table = table();
        let recorded: Vec<_> = (0..1_000).filter_map(|user| table.count(denial("svc:a", user), 0)).collect();
        let with_user = recorded.iter().filter(|denial| denial.subject.is_some()).count();
        assert_eq!((recorded.len(), with_user), (MAX_PER_CALLER as usize + 1, MAX_PER_CALLER as usize));
        assert!(
            table.count(denial("svc:b", 0), 0).is_some_and(|denial| denial.subject.is_some()),
            "others have theirs"
        );
        let total: u64 = table.open.due(u64::MAX).counts.iter().map(|due| due.count).sum();
        assert_eq!(total + recorded.len() as u64, 1_000, "none is lost");
    }

    #[test]
    fn the_users_are_named_again_in_the_next_minute() {
        let mut table = table();
        (0..200).for_each(|user| drop(table.count(denial("svc:a", user), 0)));
        table.open.due(MICROS_PER_MINUTE);
        let next = table.count(denial("svc:a", 0), MICROS_PER_MINUTE).expect("recorded");
        assert!(next.subject.is_some());
    }
}
