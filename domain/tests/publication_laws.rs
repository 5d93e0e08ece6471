//! Laws of published events, over random histories with random consents: a follower that applies the events holds
//! exactly what it may read, no matter when it reads each of them, and receives nothing that was withdrawn by then.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::access::{AccessRules, Consent, Policy, Viewer, ViewerRules, Visibility};
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::past::PastProfile;
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, apply};
use domain::publication::{PublishedEventType, PublishedEventTypes, StepVisibility, Transition, events};
use domain::record::{FrameStep, follow};
use domain::rules::Rules;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet, Member};
use serde_json::{Value, json};

use crate::random_histories::{Random, document, event, rules};

const HISTORIES: u64 = 1_000;

/// After all times of random events, in microseconds: 2030-01-01T00:00:00Z.
const LATER: i64 = 1_893_456_000_000_000;

fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

fn policy() -> Policy {
    let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let service = ViewerRules {
        minimal: paths(&["demographics.state", "identity.age_bracket"]),
        standard: paths(&["demographics.district", "economic.income_bracket", "eligibility.*"]),
        full: paths(&["economic.employment_type", "deadlines.*", "profile_completeness_pct", "cohort_tags"]),
    };
    let ai_context = ViewerRules { standard: paths(&["trust.*"]), full: paths(&["economic.*"]), ..Default::default() };
    let admin = ViewerRules { minimal: paths(&["*"]), ..Default::default() };
    let rules = AccessRules { service, ai_context, admin, ..Default::default() };
    Policy::compile(&rules).expect("the table names fields")
}

fn viewers() -> [Viewer; 4] {
    let service = |third_party, ai_context| Viewer::Service { profile_read: true, third_party, ai_context };
    [service(false, false), service(false, true), service(true, false), Viewer::Admin { profile_read: true }]
}

/// Returns a user's steps, in order; many of the events may change the consent.
fn history(random: &mut Random, rules: &Rules) -> Vec<FinishedChange> {
    let context = AssemblyContext { rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    let mut steps: Vec<FinishedChange> = Vec::new();
    // Every other history consists almost only of consents, each newer than the last, so that users become visible and
    // hidden again many times.
    let is_fickle = random.below(2) == 0;
    for number in 0..random.below(30) as i64 + 2 {
        let mut event = event(user(), random);
        let others = if is_fickle { 2 } else { 16 };
        while random.below(24) >= others && event.source != domain::source::Source::Consent {
            event = random_histories::event(user(), random);
        }
        if is_fickle && event.source == domain::source::Source::Consent {
            event.time = LATER + number;
        }
        let state: Option<&Arc<UserState>> = steps.last().map(|step| &step.state);
        if event.writes.is_empty() {
            continue;
        }
        if let ApplyOutcome::Changed(change) = apply(state, new_user, &event, &context) {
            steps.push(change.finish(&user(), event.time, 1234));
        }
    }
    steps
}

/// Returns the leaves whose values an operation holds.
fn named(operation: &Value) -> LeafSet {
    let path = operation["path"].as_str().expect("a path");
    let mut names = path.split('/').skip(1);
    let Some(name) = names.next() else {
        let members = operation["value"].as_object().expect("a document");
        let within = |(name, value): (&String, &Value)| named(&json!({"path": format!("/{name}"), "value": value}));
        return members.iter().map(within).fold(LeafSet::EMPTY, LeafSet::or);
    };
    // Other names are members of the envelope.
    let Some(member) = Member::parse(name) else { return LeafSet::EMPTY };
    let leaf = |name: &str| LeafSet::only(Leaf::in_member(member, name).expect("a leaf"));
    match (names.next(), operation["value"].as_object()) {
        _ if member.is_leaf() => member.leaves(),
        (Some(name), _) => leaf(name),
        (None, Some(section)) => section.keys().map(|name| leaf(name)).fold(LeafSet::EMPTY, LeafSet::or),
        (None, None) => LeafSet::EMPTY,
    }
}

/// A follower with its copy of the profile.
struct Client<'a> {
    policy: &'a Policy,
    rules: &'a Rules,
    viewer: Viewer,
    held: Option<Value>,
    /// The newest step when the follower started. It receives older steps as a new follower does.
    began: usize,
    /// Whether the user became visible and hidden again before the follower read either step.
    missed: bool,
    /// Whether `missed` was lost, as after a reconnection, since the user became visible.
    forgot: bool,
}

impl Client<'_> {
    fn sees(&self, consent: Consent) -> Visibility {
        self.policy.visibility(&self.viewer, &user(), consent)
    }

    /// Reads the step `index` while `head` is the newest one.
    fn read(&mut self, steps: &[FinishedChange], index: usize, head: usize) {
        let FrameStep::Revision(step) = follow(&steps[index].record).expect("a valid record") else { return };
        let before = index.checked_sub(1).map(|index| PastProfile::from_state(&steps[index].state));
        let (after, envelope, delta) = step.take(before.as_ref()).expect("a step after `before`");
        assert_eq!((&after.profile, envelope), (&steps[index].state.profile, steps[index].state.envelope));
        let later = steps[index + 1..=head].iter().map(|step| step.state.consent()).reduce(Consent::least);
        let consents = (before.as_ref().map(|past| past.profile.consent()), after.profile.consent());
        let visibility = StepVisibility::new(self.policy, &self.viewer, &user(), consents.0, consents.1, later);
        self.missed |= visibility.is_missed;
        let was_missed = visibility.hides() && std::mem::take(&mut self.missed);
        let visibility = if was_missed || index <= self.began { visibility.for_new_follower() } else { visibility };
        let user = user();
        let transition =
            Transition { user: &user, before: before.as_ref(), after: &after, envelope: &envelope, delta: &delta };
        let allowed = match self.sees(later.map_or(consents.1, |later| consents.1.least(later))) {
            Visibility::Mask(mask) => mask,
            Visibility::Hidden => LeafSet::EMPTY,
        };
        let published = events(&transition, &visibility, PublishedEventTypes::ALL, self.rules);
        let is_hidden_later = visibility.after == Visibility::Hidden && self.sees(consents.1) != Visibility::Hidden;
        assert!(
            published.is_empty() || !is_hidden_later,
            "an event reveals a step of a user who has been hidden since"
        );
        let holds_none = self.held.as_ref().is_none_or(|held| *held == json!({}));
        let names_unseen = holds_none && visibility.after == Visibility::Hidden && !published.is_empty();
        assert!(!names_unseen || self.forgot, "an event names a user whom the follower never saw");
        if visibility.after == Visibility::Hidden && self.sees(consents.1) == Visibility::Hidden {
            self.forgot = false;
        }
        for event in published {
            let event: Value = serde_json::from_str(&format!("{{{}}}", event.members)).expect("JSON");
            let data = &event["data"];
            assert_eq!(data["user_id"], user.as_str());
            if event["type"] == PublishedEventType::ProfileDeltaGenerated.name() {
                let patch: json_patch::Patch = serde_json::from_value(data["operations"].clone()).expect("a patch");
                for operation in data["operations"].as_array().expect("a list") {
                    assert!(named(operation).is_within(allowed), "{operation} is hidden from this viewer");
                }
                let held = self.held.get_or_insert(Value::Null);
                json_patch::patch(held, &patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
            } else {
                let pct = Leaf::ProfileCompletenessPct;
                let shows = data.get("completeness_pct").is_some() || data.get("new_pct").is_some();
                assert!(!shows || allowed.has(pct), "an event shows a hidden percentage");
            }
        }
        if index == head {
            self.check(&steps[head].state);
        }
    }

    /// Asserts that the client's copy at the head equals the view that it would read.
    fn check(&self, head: &UserState) {
        match self.sees(head.consent()) {
            Visibility::Mask(mask) => assert_eq!(self.held.as_ref(), Some(&document(head, mask))),
            Visibility::Hidden => assert!(self.held.as_ref().is_none_or(|held| *held == json!({}))),
        }
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let (rules, policy) = (rules(), policy());
    let steps = history(&mut random, &rules);
    // Frames that changed only registers are read too, and publish nothing.
    for viewer in viewers() {
        let began = random.below(steps.len().max(1) as u64) as usize;
        let mut client =
            Client { policy: &policy, rules: &rules, viewer, held: None, began, missed: false, forgot: false };
        let (mut next, mut head) = (0, began);
        while next < steps.len() {
            // The head is ahead of the follower by a varying number of steps.
            if random.below(6) == 0 {
                client.forgot |= client.missed;
                client.missed = false;
            }
            head = (head.max(next) + random.below(4) as usize * random.below(4) as usize).min(steps.len() - 1);
            for _ in 0..random.below(5) {
                if next <= head && next < steps.len() {
                    client.read(&steps, next, head);
                    next += 1;
                }
            }
        }
        if let Some(last) = steps.last() {
            client.check(&last.state);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn a_follower_that_applies_the_events_holds_what_it_may_read() {
    if let Ok(seed) = std::env::var("LAW_SEED") {
        return run(seed.parse().expect("LAW_SEED is a number"));
    }
    for seed in 0..HISTORIES {
        let failed = std::panic::catch_unwind(|| run(seed)).is_err();
        assert!(!failed, "the laws do not hold: repeat with LAW_SEED={seed}");
    }
}
