//! Records refused calls: a metric for each, and an entry in the audit log for each caller and minute.

use std::net::IpAddr;
use std::sync::Arc;

use domain::limits::{AddressKey, LimitClass, RefusalCount, RefusalLog};
use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditValue};
use metrics::Counter;
use parking_lot::Mutex;

use super::addresses::AddressKind;
use crate::http::request::audit::actor;
use crate::http::request::caller::Caller;
use crate::telemetry::metric;

/// Maximum number of callers and addresses whose refusals are counted apart.
const CAPACITY: usize = 10_000;
const LIMIT_REACHED: &str = "limit.reached";
const AUTHENTICATION_FAILED: &str = "authentication.failed";

/// Who was refused, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Refused {
    action: &'static str,
    actor: AuditActor,
    address: Option<AddressKey>,
    /// The name of the limit; empty for a failed authentication.
    limit: &'static str,
}

/// Records refused calls.
pub(super) struct Refusals {
    log: Mutex<RefusalLog<Refused>>,
    audit: Arc<dyn AuditLog>,
    by_class: [Counter; LimitClass::COUNT],
    failures: Counter,
    anonymous: Counter,
    flood: Counter,
}

impl Refusals {
    pub(super) fn new(audit: Arc<dyn AuditLog>) -> Self {
        Self {
            log: Mutex::new(RefusalLog::new(CAPACITY)),
            audit,
            by_class: LimitClass::ALL.map(|class| metric::rate_limited(class.name())),
            failures: metric::rate_limited(AddressKind::Failure.name()),
            anonymous: metric::rate_limited(AddressKind::Anonymous.name()),
            flood: metric::rate_limited("flood"),
        }
    }

    /// Records that a caller has reached the limit of a class.
    pub(super) fn caller(&self, caller: &Caller, limit: &'static str, now: u64) {
        if let Some(class) = LimitClass::parse(limit) {
            self.by_class[class as usize].increment(1);
        }
        self.record(Refused { action: LIMIT_REACHED, actor: actor(caller), address: None, limit }, now);
    }

    /// Records that an address has reached a limit.
    pub(super) fn address(&self, address: IpAddr, kind: AddressKind, now: u64) {
        match kind {
            AddressKind::Failure => self.failures.increment(1),
            AddressKind::Anonymous => self.anonymous.increment(1),
            AddressKind::Class(class) => self.by_class[class as usize].increment(1),
        }
        self.anonymous_call(LIMIT_REACHED, address, kind.name(), now);
    }

    /// Records that a call had no accepted credential.
    pub(super) fn failed_authentication(&self, address: IpAddr, now: u64) {
        self.anonymous_call(AUTHENTICATION_FAILED, address, "", now);
    }

    /// Counts a request that the cap of all clients has refused. It leaves no entry of its own: many clients send it.
    pub(super) fn flood(&self) {
        self.flood.increment(1);
    }

    /// Records the refusals of the minutes that are over at the time `now`.
    pub(super) fn record_due(&self, now: u64) {
        let (due, others) = self.log.lock().due(now);
        for RefusalCount { key, count } in due {
            self.audit.note(entry(&key, count));
        }
        if others > 0 {
            let refused =
                Refused { action: LIMIT_REACHED, actor: AuditActor::Anonymous, address: None, limit: "several" };
            self.audit.note(entry(&refused, others));
        }
    }

    fn anonymous_call(&self, action: &'static str, address: IpAddr, limit: &'static str, now: u64) {
        let address = Some(AddressKey::from(address));
        self.record(Refused { action, actor: AuditActor::Anonymous, address, limit }, now);
    }

    fn record(&self, refused: Refused, now: u64) {
        if self.log.lock().count(refused.clone(), now) {
            self.audit.note(entry(&refused, 1));
        }
    }
}

/// Returns the entry for `count` refusals.
fn entry(refused: &Refused, count: u64) -> AuditEntry {
    let Refused { action, actor, address, limit } = refused;
    let mut entry = AuditEntry {
        decision: AuditDecision::Denied,
        ..AuditEntry::new(AuditCategory::Security, action, actor.clone())
    };
    if !limit.is_empty() {
        entry = entry.with("limit", AuditValue::Text((*limit).into()));
    }
    if let Some(address) = address {
        entry = entry.with("address", AuditValue::Text(address.to_string().into()));
    }
    entry.with("count", AuditValue::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
}
