//! Assembles profiles in memory as the server would, with the built-in rules.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use config::{Settings, Sources};
use data::Arrival;
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply, mask};
use domain::rules::Rules;
use domain::source::Source;
use domain::state::UserState;
use jiff::Timestamp;

use crate::wiring;

/// The profiles assembled so far.
pub(super) struct Assembly {
    rules: Rules,
    rules_fingerprint: u32,
    until: Timestamp,
    states: HashMap<UserId, Arc<UserState>>,
}

/// What an event did to its profile.
pub(super) enum EventEffect {
    /// It made a new revision.
    Revision { revision: u64, patch_bytes: usize },
    /// It changed only the provenance of values.
    Provenance,
    /// Its values were older, or the same.
    Unchanged,
    /// It was a repeated delivery.
    Duplicate,
}

impl Assembly {
    /// Starts without profiles. They are assembled for the day of `until`.
    pub(super) fn new(until: Timestamp) -> anyhow::Result<Self> {
        let rules = wiring::rules(&Settings::load(&Sources::default())?)?;
        Ok(Self { rules_fingerprint: rules.fingerprint(), rules, until, states: HashMap::new() })
    }

    /// Validates and applies one event.
    pub(super) fn apply_arrival(&mut self, arrival: &Arrival) -> anyhow::Result<EventEffect> {
        let source = Source::parse(arrival.event.source).context("an event has an unknown source")?;
        let now = self.until.as_microsecond();
        let event = validate(&arrival.event.json, source, &self.rules, now)
            .map_err(|rejection| anyhow::anyhow!("an event was rejected: {rejection}"))?;
        let context = AssemblyContext {
            rules: &self.rules,
            rules_fingerprint: self.rules_fingerprint,
            policy_version: 1,
            day: Day::at(now, &self.rules.zone),
        };
        // Constants instead of random numbers, so that the output is the same each time.
        let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
        Ok(match apply(self.states.get(&event.user), new_user, &event, &context) {
            ApplyOutcome::Duplicate => EventEffect::Duplicate,
            ApplyOutcome::Unchanged | ApplyOutcome::BeforeErasure => EventEffect::Unchanged,
            ApplyOutcome::Changed(change) => {
                let finished = change.finish(&event.user, arrival.at, 0);
                self.states.insert(event.user, finished.state);
                match finished.delta {
                    None => EventEffect::Provenance,
                    Some(delta) => {
                        let patch = serde_json::to_vec(&mask::patch(&delta, MaskClass::UNMASKED))?;
                        EventEffect::Revision { revision: delta.revision, patch_bytes: patch.len() }
                    }
                }
            }
        })
    }

    /// The states of all citizens.
    pub(super) fn states(&self) -> impl Iterator<Item = &Arc<UserState>> {
        self.states.values()
    }
}
