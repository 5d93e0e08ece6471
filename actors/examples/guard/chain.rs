//! The states that the people go through, computed without actors.

use std::sync::Arc;

use domain::day::Day;
use domain::event::FeedEvent;
use domain::id::ProfileId;
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, apply};
use domain::rules::Rules;
use domain::state::UserState;

use super::people::Person;
use crate::ports::NOW;

/// An event that changes a user's profile, and what it makes of the state before it.
pub(crate) struct Step {
    pub(crate) before: Arc<UserState>,
    pub(crate) event: FeedEvent,
    pub(crate) finished: FinishedChange,
}

/// Returns the steps of all people that change the profile: those of the updates, and those of the updates of one leaf.
pub(crate) fn steps(people: &[Person], context: &AssemblyContext<'_>) -> (Vec<Step>, Vec<Step>) {
    let (mut updates, mut leaf_updates) = (Vec::new(), Vec::new());
    for person in people {
        let mut state = None;
        for event in &person.earlier {
            advance(&mut state, event, context);
        }
        updates.extend(person.updates.iter().filter_map(|event| step(&mut state, event, context)));
        leaf_updates.extend(person.leaf_updates.iter().filter_map(|event| step(&mut state, event, context)));
    }
    (updates, leaf_updates)
}

fn step(state: &mut Option<Arc<UserState>>, event: &FeedEvent, context: &AssemblyContext<'_>) -> Option<Step> {
    let before = state.clone();
    let finished = advance(state, event, context)?;
    finished.delta.as_ref()?;
    Some(Step { before: before?, event: event.clone(), finished })
}

/// Applies an event to the state. Returns the change, if there is one.
pub(crate) fn advance(
    state: &mut Option<Arc<UserState>>,
    event: &FeedEvent,
    context: &AssemblyContext<'_>,
) -> Option<FinishedChange> {
    let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, event, context) else { return None };
    let finished = change.finish(&event.user, NOW, 1);
    *state = Some(Arc::clone(&finished.state));
    Some(finished)
}

/// Returns the context of the day that the ports' clock shows.
pub(crate) fn context(rules: &Rules) -> AssemblyContext<'_> {
    AssemblyContext { rules, rules_fingerprint: rules.fingerprint(), policy_version: 1, day: Day::at(NOW, &rules.zone) }
}

/// Returns the ids and keys of every new user.
pub(crate) fn new_user() -> NewUser {
    NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] }
}
