//! The domain under test. No other file of this test calls the domain's interface for assembly.

use std::sync::Arc;

use domain::day::Day;
use domain::event::FeedEvent;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::pipeline::validate::validate;
use domain::pipeline::{
    ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, mask, roll, serialize,
};
use domain::record::{pack, replay, unpack};
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::state::UserState;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::reference::Fixture;

/// The members of the envelope, which the law does not cover.
const ENVELOPE: [&str; 6] =
    ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"];

/// 2030-01-01T00:00:00Z, after every event.
const NOW_MICROS: i64 = 1_893_456_000_000_000;

/// Returns the user whose frames are made.
fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

/// The domain's rules for a fixture.
pub(crate) struct Domain {
    rules: Rules,
    fingerprint: u32,
}

/// One citizen whose profile is kept up incrementally.
pub(crate) struct Citizen<'a> {
    domain: &'a Domain,
    day: Day,
    state: Option<Arc<UserState>>,
    user: UserId,
    /// When the next revision is generated, in microseconds since the Unix epoch.
    pub(crate) now: i64,
    /// The steps so far, if they are kept.
    pub(crate) steps: Option<Vec<FinishedChange>>,
    /// Whether the record and the patch of every step are checked, which costs more than the steps.
    pub(crate) every_step_is_checked: bool,
}

impl Domain {
    pub(crate) fn new(fixture: &Fixture) -> Self {
        let nowhere = std::path::Path::new("/nonexistent");
        let rules = Rules {
            zone: fixture.zone.clone(),
            districts: fixture.districts.clone(),
            not_applicable: config::load_completeness(nowhere).expect("the embedded rules"),
            schemes_waiting: Default::default(),
            limits: Limits::default(),
        };
        Self { fingerprint: rules.fingerprint(), rules }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Validates an event. Every event of the law tests is valid.
    pub(crate) fn accept(&self, event: &Value) -> FeedEvent {
        let source = event["source"].as_str().and_then(|source| Source::parse(source.rsplit('/').next()?));
        validate(event.to_string().as_bytes(), source.expect("a source"), &self.rules, NOW_MICROS)
            .unwrap_or_else(|rejection| panic!("{rejection:?} for {event}"))
    }

    /// Returns a citizen without events.
    pub(crate) fn citizen(&self) -> Citizen<'_> {
        let (user, now, steps) = (user(), 0, None);
        Citizen { domain: self, day: Day(0), state: None, user, now, steps, every_step_is_checked: false }
    }

    /// Returns a citizen with an id of their own, whose steps are kept.
    pub(crate) fn recorded_citizen(&self, user: UserId) -> Citizen<'_> {
        Citizen { user, steps: Some(Vec::new()), ..self.citizen() }
    }

    fn context(&self, day: Day) -> AssemblyContext<'_> {
        AssemblyContext { rules: &self.rules, rules_fingerprint: self.fingerprint, policy_version: 1, day }
    }
}

impl Citizen<'_> {
    /// Advances the citizen to a day, which must not be before the last one.
    pub(crate) fn advance_to(&mut self, day: Date) {
        self.day = Day::from_date(day);
        let Some(before) = &self.state else { return };
        match roll(before, &self.domain.context(self.day)) {
            RollOutcome::Same(state) => self.state = Some(state),
            RollOutcome::Changed(change) => self.take(change.finish(&self.user, self.now, 0)),
        }
    }

    /// Merges one event. Returns whether it changed anything, even if only a register.
    pub(crate) fn apply(&mut self, event: &FeedEvent) -> bool {
        let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [9; 16] };
        match apply(self.state.as_ref(), new_user, event, &self.domain.context(self.day)) {
            ApplyOutcome::Changed(change) => {
                self.take(change.finish(&self.user, self.now, 0));
                true
            }
            ApplyOutcome::Unchanged | ApplyOutcome::Duplicate | ApplyOutcome::BeforeErasure => false,
        }
    }

    /// Replaces the state by what its stored form gives.
    pub(crate) fn passivate_and_hydrate(&mut self) {
        if let Some(state) = &self.state {
            let again = unpack(pack(state)).expect("a stored state");
            self.state = Some(Arc::new(again));
        }
    }

    /// Moves to the next state.
    fn take(&mut self, finished: FinishedChange) {
        if self.every_step_is_checked {
            check_step(self.state.as_deref(), &finished);
        }
        self.state = Some(Arc::clone(&finished.state));
        if let Some(steps) = &mut self.steps {
            steps.push(finished);
        }
    }

    /// Returns the profile without its envelope, in canonical form.
    pub(crate) fn profile(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        Some(serde_json_canonicalizer::to_string(&document(state)).expect("canonical form"))
    }
}

/// Checks that the journal record of a step gives the state that the step made, and its patch the document.
fn check_step(before: Option<&UserState>, finished: &FinishedChange) {
    let replayed = replay(before.cloned(), &finished.record).expect("a journal record");
    assert_eq!(pack(&replayed), pack(&finished.state), "the journal record gives another state");
    let mut patched = before.map_or_else(|| json!({}), document);
    if let Some(delta) = &finished.delta {
        json_patch::patch(&mut patched, &mask::patch(delta, MaskClass::UNMASKED)).expect("a patch that applies");
    }
    assert_eq!(patched, document(&finished.state), "the patch gives another document");
}

/// Returns the served document without its envelope.
fn document(state: &UserState) -> Value {
    let served = serialize::view(state, MaskClass::UNMASKED);
    let mut document: Value = serde_json::from_slice(&served).expect("JSON");
    assert_eq!(serde_json_canonicalizer::to_vec(&document).expect("canonical form"), served);
    let members = document.as_object_mut().expect("an object");
    members.retain(|member, _| !ENVELOPE.contains(&member.as_str()));
    document
}
