//! Users, viewers, policies and events to test with, and the ports that the actors run on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use domain::access::{AccessRules, Policy, Viewer, ViewerRules};
use domain::canonical::CanonicalJson;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite, SharedText};
use domain::id::UserId;
use domain::port::clock::{Clock, Entropy};
use domain::rules::Rules;
use domain::source::Source;
use domain::table::Leaf;
use jiff::tz::TimeZone;

use super::ram_store::RamStore;
use crate::Ports;

/// 2026-01-20T10:30:00Z.
pub(super) const NOON: i64 = 1_768_905_000_000_000;
/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;

pub(super) fn user(number: usize) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

pub(super) fn citizen(number: usize) -> Viewer {
    Viewer::SelfCitizen(user(number))
}

pub(super) const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: false };
pub(super) const THIRD_PARTY: Viewer = Viewer::Service { profile_read: true, third_party: true, ai_context: false };

/// Returns policy 0, which has the shape of the default table, or policy 1, which takes economic fields from services.
pub(super) fn policy(number: usize) -> Policy {
    let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let all = || ViewerRules { minimal: paths(&["*"]), ..ViewerRules::default() };
    let full = if number == 0 { paths(&["deadlines.*", "economic.employment_type"]) } else { Vec::new() };
    let service = ViewerRules {
        minimal: paths(&["demographics.state"]),
        standard: if number == 0 { paths(&["economic.income_bracket"]) } else { Vec::new() },
        full,
    };
    let rules = AccessRules { self_citizen: all(), agent: all(), admin: all(), service, ..AccessRules::default() };
    Policy::compile(&rules).expect("the table names fields")
}

pub(super) fn event(
    user: UserId,
    id: &str,
    time: i64,
    source: Source,
    values: &[(RegisterPath, Option<&str>)],
) -> FeedEvent {
    let write = |(path, value): &(RegisterPath, Option<&str>)| RegisterWrite {
        path: path.clone(),
        kind: source.kinds()[0],
        value: value.map(CanonicalJson::from_canonical),
    };
    let writes = values.iter().map(write).collect();
    FeedEvent { id: SharedText::from(id), source, user, time, person: None, registration: false, writes }
}

pub(super) fn income(number: usize, time: i64, bracket: &str) -> FeedEvent {
    let value = format!("\"{bracket}\"");
    let path = RegisterPath::Leaf(Leaf::EconomicIncomeBracket);
    event(user(number), &format!("income-{time}"), time, Source::Metadata, &[(path, Some(&value))])
}

/// What the actors run on. It outlives a restart of them.
#[derive(Clone)]
pub(super) struct Fixture {
    pub(super) store: RamStore,
    pub(super) clock: Arc<ManualClock>,
    pub(super) entropy: Arc<CountingEntropy>,
    pub(super) rules: Arc<Rules>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let rules = Rules {
            zone: TimeZone::get("Asia/Kolkata").expect("the zone is bundled"),
            districts: Default::default(),
            not_applicable: Vec::new(),
            schemes_waiting: Default::default(),
            limits: Default::default(),
        };
        Self {
            store: RamStore::default(),
            clock: Arc::new(ManualClock(AtomicI64::new(NOON))),
            entropy: Arc::default(),
            rules: Arc::new(rules),
            policy: Arc::new(ArcSwap::from_pointee(policy(0))),
        }
    }

    pub(super) fn ports(&self) -> Ports {
        Ports {
            journal: Box::new(self.store.clone()),
            store: Arc::new(self.store.clone()),
            projections: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            rules: self.rules.clone(),
            policy: self.policy.clone(),
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now_micros()
    }

    pub(super) fn set_now(&self, now: i64) {
        self.clock.0.store(now, Ordering::Relaxed);
    }
}

pub(super) fn consent(time: i64, level: &str, third_party: bool) -> FeedEvent {
    let (level, third_party) = (format!("\"{level}\""), third_party.to_string());
    let values = [
        (RegisterPath::Leaf(Leaf::ConsentDataSharingLevel), Some(&*level)),
        (RegisterPath::Leaf(Leaf::ConsentThirdPartySharing), Some(&*third_party)),
    ];
    event(user(1), &format!("consent-{time}"), time, Source::Consent, &values)
}

pub(super) fn deadline(time: i64, due: &str) -> FeedEvent {
    let details = format!(
        r#"{{"action_url":"/a","deadline_id":"d","description":"d","due_date":"{due}","priority":"low","type":"t"}}"#
    );
    event(user(1), "deadline", time, Source::Deadlines, &[(RegisterPath::DeadlineDetails("d".into()), Some(&details))])
}

/// A clock that shows the time that the test sets.
#[derive(Debug)]
pub(super) struct ManualClock(pub(super) AtomicI64);

impl Clock for ManualClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns the bytes of a counter.
#[derive(Debug, Default)]
pub(super) struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().enumerate().for_each(|(index, byte)| *byte = count[index % 8]);
    }
}
