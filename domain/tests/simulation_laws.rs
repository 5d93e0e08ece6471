//! Laws of simulations over random histories: they say what the events would do, patches apply under every mask, and the
//! result tells nothing of what the viewer does not see.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::day::Day;
use domain::event::FeedEvent;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::pipeline::simulate::Simulation;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::rules::Rules;
use domain::state::UserState;
use domain::table::LeafSet;
use serde_json::Value;

use crate::random_histories::{Random, document, event, masks, rules};

const HISTORIES: u64 = 300;

fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

/// Returns the state after one more event.
fn after(state: Option<&Arc<UserState>>, event: &FeedEvent, rules: &Rules) -> Option<Arc<UserState>> {
    let context = AssemblyContext { rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    match apply(state, new_user, event, &context) {
        ApplyOutcome::Changed(change) => Some(change.finish(&user(), 1, 1).state),
        _ => state.cloned(),
    }
}

fn events(random: &mut Random, from: i64, count: u64) -> Vec<FeedEvent> {
    (0..count as i64)
        .map(|number| FeedEvent { id: format!("e{}", from + number).into(), ..event(user(), random) })
        .collect()
}

/// Returns a document without the members that change with every revision.
fn body(mut document: Value) -> Value {
    for name in ["assembly_latency_ms", "generated_at", "profile_hash", "revision"] {
        document.as_object_mut().expect("an object").remove(name);
    }
    document
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("a view is JSON")
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (rules, count) = (rules(), random.below(12) + 1);
    let history = events(&mut random, 0, count);
    let head = history.iter().fold(None, |state, event| after(state.as_ref(), event, &rules)).expect("a state");
    let count = random.below(5) + 1;
    let supposed = events(&mut random, 100, count);
    let step = |state: Arc<UserState>, event: &FeedEvent| after(Some(&state), event, &rules).expect("a state stays");
    let real = supposed.iter().fold(Arc::clone(&head), step);
    let before = document(&head, LeafSet::ALL);
    let whole = Simulation::of(&head, &supposed, (LeafSet::ALL, true), &rules);
    let seen = json(&whole.view(&head, MaskClass::for_profile(LeafSet::ALL)));
    assert_eq!(body(seen), body(document(&real, LeafSet::ALL)), "who sees all sees what would be");
    let hidden_event = event(user(), &mut random);
    for mask in masks(&mut random) {
        let (class, explains) = (MaskClass::for_profile(mask), random.below(2) == 0);
        let simulation = Simulation::of(&head, &supposed, (mask, explains), &rules);
        let view = json(&simulation.view(&head, class));
        let mut patched = document(&head, mask);
        json_patch::patch(&mut patched, &simulation.patch(class)).expect("a patch applies");
        assert_eq!(patched, view, "the patch leads to the document");
        // Another value of what the viewer does not see.
        let writes: Vec<_> = hidden_event.writes.iter().filter(|write| is_hidden(&write.path, mask)).cloned().collect();
        let other = after(Some(&head), &FeedEvent { writes, ..hidden_event.clone() }, &rules).expect("a state");
        if body(document(&other, mask)) == body(document(&head, mask)) {
            let told = Simulation::of(&other, &supposed, (mask, explains), &rules);
            assert_eq!(told.patch(class), simulation.patch(class), "a patch tells nothing of what is hidden");
            assert_eq!(body(json(&told.view(&other, class))), body(view), "a document tells nothing of what is hidden");
        }
    }
    assert_eq!(document(&head, LeafSet::ALL), before, "the head stays as it was");
}

/// Whether a register has an effect on nothing that is seen, besides what is computed from everything.
fn is_hidden(path: &domain::event::RegisterPath, seen: LeafSet) -> bool {
    use domain::event::RegisterPath;
    use domain::table::Leaf;
    let lists = [Leaf::DeadlinesUpcoming, Leaf::DeadlinesOverdue, Leaf::DeadlinesCompletedLast90d];
    let leaves: LeafSet = match path {
        RegisterPath::Leaf(leaf) => LeafSet::only(*leaf),
        RegisterPath::SchemeStatus(_) => LeafSet::only(Leaf::EligibilityEligibleSchemes),
        RegisterPath::DeadlineDetails(_) | RegisterPath::DeadlineCompletion(_) => lists.into_iter().collect(),
        // It decides between values that are seen.
        RegisterPath::SourceConfidence => return false,
        RegisterPath::AggregatedMetrics => LeafSet::EMPTY,
    };
    leaves.and(seen).is_empty()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no settings to take its seed from")]
fn simulations_say_what_would_be_and_nothing_of_what_is_hidden() {
    if let Some(seed) = std::env::var("LAW_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return check(seed);
    }
    for seed in 0..HISTORIES {
        let outcome = std::panic::catch_unwind(|| check(seed));
        assert!(outcome.is_ok(), "LAW_SEED={seed} repeats it");
    }
}
