//! Profiles as the server would assemble them, in memory: the pure stages alone, on the embedded rules.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Settings, Sources};
use data::Arrival;
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply, mask};
use domain::rules::Rules;
use domain::source::Source;
use domain::state::UserState;
use domain::table::LeafSet;
use jiff::Timestamp;

use crate::wiring;

/// The profiles so far.
pub(super) struct Assembly {
    rules: Rules,
    rules_fingerprint: u32,
    until: Timestamp,
    states: HashMap<UserId, Arc<UserState>>,
}

/// What an event did.
pub(super) enum Effect {
    /// It made this revision, with a patch of so many bytes.
    Revision(u64, usize),
    /// It only changed where values come from.
    Provenance,
    /// Its values were older or the same.
    Nothing,
    /// It had been there before.
    Duplicate,
}

impl Assembly {
    /// No profile yet. They are assembled for the day of `until`.
    pub(super) fn new(until: Timestamp) -> anyhow::Result<Self> {
        let rules = wiring::rules(&Settings::load(&Sources::default())?)?;
        Ok(Self { rules_fingerprint: rules.fingerprint(), rules, until, states: HashMap::new() })
    }

    /// Takes one event as the server would.
    pub(super) fn take(&mut self, arrival: &Arrival) -> anyhow::Result<Effect> {
        let source = Source::parse(arrival.event.source).context("an event of no source")?;
        let now = self.until.as_microsecond();
        let event = validate(&arrival.event.json, source, &self.rules, now)
            .map_err(|rejection| anyhow::anyhow!("an event was rejected: {rejection}"))?;
        let context = AssemblyContext {
            rules: &self.rules,
            rules_fingerprint: self.rules_fingerprint,
            policy_version: 1,
            day: Day::at(now, &self.rules.zone),
        };
        // Not random, so that a story is the same each time.
        let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
        Ok(match apply(self.states.get(&event.user), new_user, &event, &context) {
            ApplyOutcome::Duplicate => Effect::Duplicate,
            ApplyOutcome::Unchanged => Effect::Nothing,
            ApplyOutcome::Changed(change) => {
                let finished = change.finish(&event.user, arrival.at, 0);
                self.states.insert(event.user, finished.state);
                match finished.delta {
                    None => Effect::Provenance,
                    Some(delta) => {
                        let patch = serde_json::to_vec(&mask::patch(&delta, LeafSet::ALL))?;
                        Effect::Revision(delta.revision, patch.len())
                    }
                }
            }
        })
    }

    /// Everyone's profile.
    pub(super) fn states(&self) -> impl Iterator<Item = &Arc<UserState>> {
        self.states.values()
    }
}
