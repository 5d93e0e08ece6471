//! The pure stages of the path of an event, each on its own.

use std::sync::Arc;

use data::GeneratedEvent;
use domain::delta::Delta;
use domain::event::{FeedEvent, SharedText};
use domain::mask_class::MaskClass;
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, StateChange, apply, mask, serialize};
use domain::record;
use domain::rules::Rules;
use domain::state::UserState;

use super::chain::{Step, advance, context, new_user, steps};
use super::meter::{Meter, measure};
use super::people::Person;
use crate::ports::{NOW, accept};

/// Counts each stage.
pub(crate) fn count(meter: &mut dyn Meter, people: &[Person], rules: &Rules) {
    let context = &context(rules);
    validate(meter, people, rules);
    let (updates, leaf_updates) = steps(people, context);
    merge(meter, "merge of an update", &updates, context);
    merge(meter, "merge of one leaf", &leaf_updates, context);
    merge_without_effect(meter, &leaf_updates, context);
    record_of_change(meter, &updates, context);
    replay(meter, &updates);
    state_forms(meter, &updates);
    events_of_packed_users(meter, people, context);
    patch(meter, &updates);
}

fn validate(meter: &mut dyn Meter, people: &[Person], rules: &Rules) {
    let mut bodies: Vec<&GeneratedEvent> = people.iter().flat_map(|person| &person.bodies).collect();
    measure(meter, "validate", &mut bodies, |body| accept(body, rules));
}

fn merge(meter: &mut dyn Meter, name: &str, steps: &[Step], context: &AssemblyContext<'_>) {
    let mut inputs: Vec<&Step> = steps.iter().collect();
    measure(meter, name, &mut inputs, |step| match apply(Some(&step.before), new_user, &step.event, context) {
        ApplyOutcome::Changed(change) => Some(change.finish(&step.event.user, NOW, 1)),
        ApplyOutcome::Unchanged | ApplyOutcome::Duplicate | ApplyOutcome::BeforeErasure => None,
    });
}

fn merge_without_effect(meter: &mut dyn Meter, steps: &[Step], context: &AssemblyContext<'_>) {
    let again = |step: &Step| (Arc::clone(&step.finished.state), step.event.clone());
    let older = |step: &Step| {
        let event =
            FeedEvent { id: SharedText::from("older"), time: step.event.time - 1_000_000, ..step.event.clone() };
        (Arc::clone(&step.finished.state), event)
    };
    let mut duplicates: Vec<_> = steps.iter().map(again).collect();
    measure(meter, "merge of a duplicate", &mut duplicates, |(state, event)| {
        let outcome = apply(Some(state), new_user, event, context);
        assert!(matches!(outcome, ApplyOutcome::Duplicate), "the event was applied before");
    });
    let mut superseded: Vec<_> = steps.iter().map(older).collect();
    measure(meter, "merge of a superseded event", &mut superseded, |(state, event)| {
        let outcome = apply(Some(state), new_user, event, context);
        assert!(matches!(outcome, ApplyOutcome::Unchanged), "a later event was applied before");
    });
}

fn record_of_change(meter: &mut dyn Meter, steps: &[Step], context: &AssemblyContext<'_>) {
    let change = |step: &Step| match apply(Some(&step.before), new_user, &step.event, context) {
        ApplyOutcome::Changed(change) => Some((*change, step.event.user)),
        ApplyOutcome::Unchanged | ApplyOutcome::Duplicate | ApplyOutcome::BeforeErasure => None,
    };
    let mut changes: Vec<Option<(StateChange, _)>> = steps.iter().map(change).collect();
    measure(meter, "record", &mut changes, |change| -> Option<FinishedChange> {
        let (change, user) = change.take()?;
        Some(change.finish(&user, NOW, 1))
    });
}

fn replay(meter: &mut dyn Meter, steps: &[Step]) {
    let input = |step: &Step| (Some(UserState::clone(&step.before)), step.finished.record.clone());
    let mut inputs: Vec<_> = steps.iter().map(input).collect();
    measure(meter, "replay of a record", &mut inputs, |(state, record)| {
        record::replay(state.take(), record).unwrap_or_else(|error| panic!("{error}"))
    });
}

fn state_forms(meter: &mut dyn Meter, steps: &[Step]) {
    let mut states: Vec<&UserState> = steps.iter().map(|step| &*step.before).collect();
    measure(meter, "pack", &mut states, |state| record::pack(state));
    let mut packed: Vec<Vec<u8>> = states.iter().map(|state| record::pack(state)).collect();
    measure(meter, "unpack", &mut packed, |packed| {
        record::unpack(std::mem::take(packed)).unwrap_or_else(|error| panic!("{error}"))
    });
    measure(meter, "view", &mut states, |state| serialize::view(state, MaskClass::UNMASKED));
}

/// Counts what one event costs a user whose state is packed before and after it: later updates, which mostly come on the
/// day of the one before them, and first ones, which come on another day.
fn events_of_packed_users(meter: &mut dyn Meter, people: &[Person], context: &AssemblyContext<'_>) {
    let later = |person: &Person| (person.earlier.clone(), person.updates.clone());
    events_of_packed(meter, "event of a packed user", people.iter().map(later), context);
    let first = |person: &Person| {
        let (before, after) = person.earlier.split_at(person.first_update);
        (before.to_vec(), after[..person.updates.len()].to_vec())
    };
    events_of_packed(meter, "event of a packed user, on a new day", people.iter().map(first), context);
}

fn events_of_packed(
    meter: &mut dyn Meter,
    name: &str,
    people: impl Iterator<Item = (Vec<FeedEvent>, Vec<FeedEvent>)>,
    context: &AssemblyContext<'_>,
) {
    let mut inputs = Vec::new();
    for (before, counted) in people {
        let mut state = None;
        for event in &before {
            advance(&mut state, event, context);
        }
        for event in counted {
            inputs.extend(state.as_deref().map(|state| (record::pack(state), event.clone())));
            advance(&mut state, &event, context);
        }
    }
    measure(meter, name, &mut inputs, |(packed, event)| {
        let state = record::unpack_own(std::mem::take(packed)).unwrap_or_else(|error| panic!("{error}"));
        match apply(Some(&Arc::new(state)), new_user, event, context) {
            ApplyOutcome::Changed(change) => {
                let FinishedChange { state, record, .. } = change.finish(&event.user, NOW, 1);
                Some((record::pack(&state), record))
            }
            ApplyOutcome::Unchanged | ApplyOutcome::Duplicate | ApplyOutcome::BeforeErasure => None,
        }
    });
}

fn patch(meter: &mut dyn Meter, steps: &[Step]) {
    let mut deltas: Vec<&Delta> = steps.iter().filter_map(|step| step.finished.delta.as_deref()).collect();
    measure(meter, "patch", &mut deltas, |delta| {
        serde_json::to_vec(&mask::patch(delta, MaskClass::UNMASKED)).unwrap_or_default()
    });
}
