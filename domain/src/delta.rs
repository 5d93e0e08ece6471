//! What changed between two revisions, leaf by leaf.

use crate::canonical::CanonicalJson;
use crate::past::PastProfile;
use crate::profile::Profile;
use crate::state::UserState;
use crate::table::{LeafSet, Member};

/// The change from revision `base` to `revision`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The revision before the change.
    pub base: u64,
    /// The revision after the change.
    pub revision: u64,
    /// The leaves present before.
    pub before: LeafSet,
    /// The leaves present after.
    pub after: LeafSet,
    /// The leaves whose value differs, in canonical order.
    pub changes: Vec<LeafChange>,
}

/// One leaf's change. At least one of the two values exists, and they differ.
#[derive(Debug, Clone, PartialEq)]
pub struct LeafChange {
    /// The leaf that changed.
    pub leaf: crate::table::Leaf,
    /// Its value before; `None` where it was absent.
    pub old: Option<CanonicalJson>,
    /// Its value after; `None` where it is absent now.
    pub new: Option<CanonicalJson>,
}

impl Delta {
    /// Returns a delta without changes, at the head.
    pub fn none(head: &UserState) -> Self {
        let (revision, present) = (head.envelope.revision, head.profile.present());
        Self { base: revision, revision, before: present, after: present, changes: Vec::new() }
    }

    /// Returns the single change from a past revision to the head, however many changes happened in between.
    pub fn between(past: &PastProfile, head: &UserState) -> Self {
        Self::new(past.revision, head.envelope.revision, &past.profile, &head.profile)
    }

    /// Returns the change from one profile to another.
    pub(crate) fn new(base: u64, revision: u64, old: &Profile, new: &Profile) -> Self {
        let differing = Member::ALL.iter().copied().filter(|member| old.section(*member) != new.section(*member));
        Self { base, revision, before: old.present(), after: new.present(), changes: changes(old, new, differing) }
    }

    /// Returns the leaves that changed.
    pub fn changed(&self) -> LeafSet {
        self.changes.iter().map(|change| change.leaf).collect()
    }

    /// Returns whether a consent setting changed, so that every mask of the user must be computed again.
    pub fn consent_changed(&self) -> bool {
        !self.changed().and(Member::Consent.leaves()).is_empty()
    }
}

/// Returns the leaves that differ between two profiles, searching the members `changed` only.
pub(crate) fn changes(old: &Profile, new: &Profile, changed: impl Iterator<Item = Member>) -> Vec<LeafChange> {
    let mut changes = Vec::with_capacity(8);
    for member in changed {
        let (before, after) = (old.section(member), new.section(member));
        for leaf in member.leaves().iter() {
            let old = before.and_then(|section| section.get(leaf));
            let new = after.and_then(|section| section.get(leaf));
            if old != new {
                changes.push(LeafChange { leaf, old: old.cloned(), new: new.cloned() });
            }
        }
    }
    changes
}
