//! What-if: the profile that would result from hypothetical events. The steps are those of real events, over a copy.

use std::sync::Arc;

use json_patch::Patch;

use super::apply::{ApplyOutcome, AssemblyContext, NewUser, apply};
use super::{mask, serialize};
use crate::delta::Delta;
use crate::event::{FeedEvent, RegisterPath, RegisterWrite};
use crate::mask_class::MaskClass;
use crate::profile::{Profile, Section};
use crate::rules::Rules;
use crate::state::UserState;
use crate::table::{Leaf, LeafSet, Owner};

/// The profile that would result from hypothetical events, and the change to it.
#[derive(Debug, Clone)]
pub struct Simulation {
    profile: Profile,
    delta: Delta,
}

impl Simulation {
    /// Applies events to the committed `head`, on the day of the head, for viewers who see the leaves of `seen`.
    ///
    /// Values for what these viewers cannot see are left out, because the result would tell whether they are the real
    /// ones. So are withdrawals of values that several sources may send, unless `explains`: what is left then is a value of
    /// another source, which only an explanation tells. `events` may end early.
    pub fn of<'e>(
        head: &Arc<UserState>,
        events: impl IntoIterator<Item = &'e FeedEvent>,
        (seen, explains): (LeafSet, bool),
        rules: &Rules,
    ) -> Self {
        let context = AssemblyContext {
            rules,
            // A head that was read has been rolled to these rules.
            rules_fingerprint: head.rules,
            policy_version: head.policy,
            day: head.day,
        };
        let mut state = Arc::clone(head);
        for event in events {
            let may_apply =
                |write: &&RegisterWrite| is_seen(&write.path, seen) && (explains || !is_shared_withdrawal(write));
            let writes = event.writes.iter().filter(may_apply).cloned().collect();
            let event = FeedEvent { writes, ..event.clone() };
            // The user exists, so no ids are made.
            let no_new_user = || NewUser { profile_id: head.envelope.profile_id, integrity_key: [0; 16] };
            if let ApplyOutcome::Changed(change) = apply(Some(&state), no_new_user, &event, &context) {
                state = Arc::new(change.into_state());
            }
        }
        let mut profile = state.profile.clone();
        keep_unseen_inputs(&mut profile, &head.profile, seen);
        let revision = head.envelope.revision;
        let delta = Delta::new(revision, revision, &head.profile, &profile);
        Self { profile, delta }
    }

    /// Returns the document as viewers of the class see it. Its envelope is that of `head`: what is only supposed has no
    /// revision, time or hash of its own.
    pub fn view(&self, head: &UserState, class: MaskClass) -> Vec<u8> {
        serialize::document(&head.envelope, &head.profile_hash(), &self.profile, class)
    }

    /// Returns the patch from the view of the head to [`Self::view`].
    pub fn patch(&self, class: MaskClass) -> Patch {
        mask::patch(&self.delta, class)
    }
}

/// Gives leaves that are computed from more than the leaves of `seen` the values that they have in `head`.
fn keep_unseen_inputs(profile: &mut Profile, head: &Profile, seen: LeafSet) {
    let kept: LeafSet = LeafSet::ALL.iter().filter(|leaf| inputs(*leaf).without(seen) != LeafSet::EMPTY).collect();
    for member in kept.members() {
        let leaves = |of: &Profile| of.section(member).map_or_else(Vec::new, |section| section.leaves().to_vec());
        let mut section = leaves(profile);
        section.retain(|(leaf, _)| !kept.has(*leaf));
        section.extend(leaves(head).into_iter().filter(|(leaf, _)| kept.has(*leaf)));
        section.sort_by_key(|(leaf, _)| *leaf);
        profile.replace(member, Section::new(section));
    }
}

/// Returns the leaves that a leaf is computed from, besides the sources' values of its own.
fn inputs(leaf: Leaf) -> LeafSet {
    match leaf {
        // Any value of any source counts.
        Leaf::ProfileCompletenessPct | Leaf::TrustDataFreshnessHours | Leaf::TrustSourceTrace => LeafSet::ALL,
        // A district that does not lie in the state is withheld.
        Leaf::DemographicsDistrict => LeafSet::only(Leaf::DemographicsState),
        leaf if leaf.field().owner == Owner::Derived => leaf.field().member.leaves(),
        _ => LeafSet::EMPTY,
    }
}

/// Returns whether a write withdraws a value that several sources may send.
fn is_shared_withdrawal(write: &RegisterWrite) -> bool {
    let is_shared =
        |path: &RegisterPath| matches!(path, RegisterPath::Leaf(leaf) if leaf.field().owner == Owner::Shared);
    write.value.is_none() && is_shared(&write.path)
}

/// Returns whether viewers who see the leaves of `seen` see everything that a register with this path has an effect on.
fn is_seen(path: &RegisterPath, seen: LeafSet) -> bool {
    match path {
        // The first decides between the sources of any leaf; the time of the second counts for the freshness.
        RegisterPath::SourceConfidence | RegisterPath::AggregatedMetrics => seen == LeafSet::ALL,
        path => path.leaves().without(seen) == LeafSet::EMPTY,
    }
}
