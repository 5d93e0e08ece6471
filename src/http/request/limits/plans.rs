//! The limits of each caller, ready for use.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::HeaderValue;
use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::limits::{LimitClass, LimitRules, Quota, Quotas};

use super::addresses::AddressKind;

/// The quotas of a caller, and their header.
pub(super) struct Plan {
    /// Whether the allowlist has the caller. Then nothing is counted.
    pub(super) is_exempt: bool,
    pub(super) quotas: Quotas,
    /// The header `RateLimit-Policy` of calls of each class.
    policies: [Option<HeaderValue>; LimitClass::COUNT],
}

impl Plan {
    fn new(quotas: Quotas) -> Self {
        let policies = LimitClass::ALL.map(|class| policy(class, &quotas));
        Self { is_exempt: false, quotas, policies }
    }

    fn exempt() -> Self {
        Self { is_exempt: true, ..Self::new([None; LimitClass::COUNT]) }
    }

    /// Returns the header `RateLimit-Policy` of calls of a class; `None` if they are not counted.
    pub(super) fn policy(&self, class: LimitClass) -> Option<&HeaderValue> {
        self.policies[class as usize].as_ref()
    }
}

/// Returns the header that describes all quotas that count the calls of a class.
fn policy(class: LimitClass, quotas: &Quotas) -> Option<HeaderValue> {
    let counted = [Some(class), class.parent()].into_iter().flatten();
    let items = counted.filter_map(|class| Some(policy_items(class.name(), &quotas[class as usize]?)));
    let text = items.collect::<Vec<_>>().join(", ");
    if text.is_empty() { None } else { HeaderValue::from_maybe_shared(Bytes::from(text)).ok() }
}

/// Returns the items of the header `RateLimit-Policy` for a quota.
fn policy_items(name: &str, quota: &Quota) -> String {
    let burst = quota.burst.map(|burst| format!(", \"{name}-burst\";q={burst};w=1")).unwrap_or_default();
    format!("\"{name}\";q={};w={}{burst}", quota.limit, quota.window_s)
}

/// What decides about the plan of a caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitedCaller<'a> {
    /// The claim `sub`.
    pub(crate) subject: &'a str,
    pub(crate) is_service: bool,
}

/// The plans of all callers. Reading costs an atomic number while nothing changes.
pub(super) struct Plans {
    table: ArcSwap<PlanTable>,
    /// Counts the changes of the table, so that a caller's plan is looked up only after one.
    version: AtomicU64,
}

struct PlanTable {
    rules: LimitRules,
    exempt_callers: HashSet<String>,
    exempt: Arc<Plan>,
    person: Arc<Plan>,
    service: Arc<Plan>,
    named: HashMap<String, Arc<Plan>>,
    failures: AddressQuota,
    anonymous: AddressQuota,
}

/// The quota of an address, and its header.
#[derive(Debug, Clone)]
pub(super) struct AddressQuota {
    pub(super) quota: Quota,
    /// The header `RateLimit-Policy`.
    pub(super) policy: Option<HeaderValue>,
}

impl AddressQuota {
    fn new(name: &str, quota: Quota) -> Self {
        Self { quota, policy: HeaderValue::from_maybe_shared(Bytes::from(policy_items(name, &quota))).ok() }
    }
}

impl PlanTable {
    fn new(rules: LimitRules, exempt_callers: HashSet<String>) -> Self {
        let service = |subject: &str| Arc::new(Plan::new(rules.for_service(subject)));
        Self {
            exempt: Arc::new(Plan::exempt()),
            person: Arc::new(Plan::new(rules.for_person())),
            service: service(""),
            named: rules.services.keys().map(|subject| (subject.clone(), service(subject))).collect(),
            failures: AddressQuota::new(AddressKind::Failure.name(), rules.failures),
            anonymous: AddressQuota::new(AddressKind::Anonymous.name(), rules.anonymous),
            exempt_callers,
            rules,
        }
    }

    fn plan(&self, caller: LimitedCaller<'_>) -> &Arc<Plan> {
        let LimitedCaller { subject, is_service } = caller;
        match is_service {
            _ if self.exempt_callers.contains(subject) => &self.exempt,
            true => self.named.get(subject).unwrap_or(&self.service),
            false => &self.person,
        }
    }
}

impl Plans {
    pub(super) fn new(rules: LimitRules, exempt_callers: HashSet<String>) -> Self {
        Self { table: ArcSwap::from_pointee(PlanTable::new(rules, exempt_callers)), version: AtomicU64::new(1) }
    }

    /// Returns the version of the plans, which is never 0.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Returns the plan of a caller.
    pub(super) fn of_caller(&self, caller: LimitedCaller<'_>) -> Arc<Plan> {
        Arc::clone(self.table.load().plan(caller))
    }

    /// Returns the limit of all callers of an address together; `None` if they are not counted.
    pub(super) fn address_limit(&self, class: LimitClass) -> Option<AddressQuota> {
        let rules = *self.table.load().rules.class(class);
        let quota = Quota { limit: rules.address_limit?, burst: None, ..rules.quota? };
        Some(AddressQuota::new(class.name(), quota))
    }

    /// Returns the quota of an address; `None` if nothing is counted. Without a caller, that of a class counts by address.
    pub(super) fn address_quota(&self, kind: AddressKind) -> Option<AddressQuota> {
        let table = self.table.load();
        match kind {
            AddressKind::Failure => Some(table.failures.clone()),
            AddressKind::Anonymous => Some(table.anonymous.clone()),
            // An address has no window of bursts.
            AddressKind::Class(class) => {
                let quota = Quota { burst: None, ..table.rules.class(class).quota? };
                Some(AddressQuota::new(class.name(), quota))
            }
        }
    }

    pub(super) fn set_rules(&self, rules: LimitRules) {
        self.change(|table| PlanTable::new(rules.clone(), table.exempt_callers.clone()));
    }

    pub(super) fn set_exempt(&self, callers: HashSet<String>) {
        self.change(|table| PlanTable::new(table.rules.clone(), callers.clone()));
    }

    fn change(&self, change: impl Fn(&PlanTable) -> PlanTable) {
        self.table.rcu(|table| change(table));
        // Whoever sees the new version sees the new table.
        self.version.fetch_add(1, Ordering::Release);
    }
}
