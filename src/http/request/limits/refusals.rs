//! Records refused calls: a metric for each, and an entry in the audit log for each caller or address and minute.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use domain::limits::{AddressKey, DueRefusals, LimitClass, RefusalLog};
use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditValue};
use metrics::Counter;
use parking_lot::Mutex;

use super::addresses::AddressKind;
use crate::http::request::audit::actor;
use crate::http::request::caller::Caller;
use crate::telemetry::metric;

/// Maximum number of callers' refusals that are counted apart.
const MAX_CALLERS: usize = 10_000;
/// Maximum number of addresses' refusals that are counted apart. They have a table of their own: anybody can send from
/// many addresses, and that must not hide which callers have reached their limits.
const MAX_ADDRESSES: usize = 10_000;
const LIMIT_REACHED: &str = "limit.reached";
const AUTHENTICATION_FAILED: &str = "authentication.failed";

/// A caller that was refused, and by which limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusedCaller {
    actor: AuditActor,
    limit: &'static str,
}

/// An address that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusedAddress {
    action: &'static str,
    address: AddressKey,
    /// The name of the limit; `None` for a failed authentication.
    limit: Option<&'static str>,
}

/// Records refused calls.
pub(super) struct Refusals {
    callers: Mutex<RefusalLog<RefusedCaller>>,
    addresses: Mutex<RefusalLog<RefusedAddress>>,
    audit: Arc<dyn AuditLog>,
    by_class: [Counter; LimitClass::COUNT],
    failures: Counter,
    anonymous: Counter,
    flood: Counter,
}

impl Refusals {
    pub(super) fn new(audit: Arc<dyn AuditLog>) -> Self {
        Self {
            callers: Mutex::new(RefusalLog::new(MAX_CALLERS)),
            addresses: Mutex::new(RefusalLog::new(MAX_ADDRESSES)),
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
        self.record_caller(RefusedCaller { actor: actor(caller), limit }, now);
    }

    /// Records that an address has reached a limit.
    pub(super) fn address(&self, address: IpAddr, kind: AddressKind, now: u64) {
        match kind {
            AddressKind::Failure => self.failures.increment(1),
            AddressKind::Anonymous => self.anonymous.increment(1),
            AddressKind::Class(class) => self.by_class[class as usize].increment(1),
        }
        let (address, limit) = (AddressKey::from(address), Some(kind.name()));
        self.record_address(RefusedAddress { action: LIMIT_REACHED, address, limit }, now);
    }

    /// Records that a call had no accepted credential.
    pub(super) fn failed_authentication(&self, address: IpAddr, now: u64) {
        let address = AddressKey::from(address);
        self.record_address(RefusedAddress { action: AUTHENTICATION_FAILED, address, limit: None }, now);
    }

    /// Counts a request that the cap of all clients has refused. It leaves no entry of its own: many clients send it.
    pub(super) fn flood(&self) {
        self.flood.increment(1);
    }

    /// Records the refusals of the minutes that are over at the time `now`.
    pub(super) fn record_due(&self, now: u64) {
        let DueRefusals { counts, others } = self.callers.lock().due(now);
        counts.iter().for_each(|due| self.audit.note(due.key.entry(due.count)));
        self.note_several("callers", others);
        let DueRefusals { counts, others } = self.addresses.lock().due(now);
        counts.iter().for_each(|due| self.audit.note(due.key.entry(due.count)));
        self.note_several("addresses", others);
    }

    fn note_several(&self, several: &'static str, others: BTreeMap<&'static str, u64>) {
        others.into_iter().for_each(|(action, count)| self.audit.note(entry_of_several(action, several, count)));
    }

    fn record_caller(&self, refused: RefusedCaller, now: u64) {
        if self.callers.lock().count(refused.clone(), LIMIT_REACHED, now) {
            self.audit.note(refused.entry(1));
        }
    }

    fn record_address(&self, refused: RefusedAddress, now: u64) {
        if self.addresses.lock().count(refused.clone(), refused.action, now) {
            self.audit.note(refused.entry(1));
        }
    }
}

impl RefusedCaller {
    /// Returns the entry for `count` refusals.
    fn entry(&self, count: u64) -> AuditEntry {
        let entry = denied(LIMIT_REACHED, self.actor.clone());
        entry.with("limit", AuditValue::Text(self.limit.into())).with("count", integer(count))
    }
}

impl RefusedAddress {
    /// Returns the entry for `count` refusals.
    fn entry(&self, count: u64) -> AuditEntry {
        let Self { action, address, limit } = self;
        let entry = denied(action, AuditActor::Anonymous);
        let entry = limit.iter().fold(entry, |entry, limit| entry.with("limit", AuditValue::Text((*limit).into())));
        entry.with("address", AuditValue::Text(address.to_string().into())).with("count", integer(count))
    }
}

/// Returns the entry for `count` refusals of `several` callers or addresses that had no place in their table.
fn entry_of_several(action: &'static str, several: &'static str, count: u64) -> AuditEntry {
    let entry = denied(action, AuditActor::System);
    entry.with("several", AuditValue::Text(several.into())).with("count", integer(count))
}

fn denied(action: &'static str, actor: AuditActor) -> AuditEntry {
    AuditEntry { decision: AuditDecision::Denied, ..AuditEntry::new(AuditCategory::Security, action, actor) }
}

fn integer(count: u64) -> AuditValue {
    AuditValue::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
