//! Stage 7, mask: the only place that turns a profile, or a change of one, into what a viewer receives.

use json_patch::{Patch, PatchOperation};

use super::diff::{add_section, leaf_operations, remove_section};
use crate::delta::{Delta, LeafChange};
use crate::mask_class::MaskClass;
use crate::profile::{Profile, Section};
use crate::table::LeafSet;

/// Returns the patch from a mask class's view before to its view after: diff(mask(a), mask(b)).
///
/// Applied to the old view it gives exactly the new one, except for the envelope, which is sent separately.
/// The patch is empty if the class sees nothing of the change.
pub fn patch(delta: &Delta, class: MaskClass) -> Patch {
    let mask = class.leaves();
    let mut operations: Vec<PatchOperation> = Vec::new();
    let visible = delta.changed().and(mask);
    for member in visible.members() {
        let leaves = member.leaves().and(mask);
        let changes = delta.changes.iter().filter(|change| leaves.has(change.leaf));
        let (before, after) = (delta.before.and(leaves), delta.after.and(leaves));
        if !member.is_leaf() && before.is_empty() {
            // All that the viewer sees of the section is new, so the change holds the whole of it.
            operations
                .extend(Section::new(changes.filter_map(new_leaf).collect()).map(|s| add_section(member.name(), &s)));
        } else if !member.is_leaf() && after.is_empty() {
            operations.push(remove_section(member.name()));
        } else {
            changes.for_each(|change| leaf_operations(change, &mut operations));
        }
    }
    Patch(operations)
}

/// Returns a change under a mask that changes with it: from the view of the old profile under the old mask to the view
/// of the new profile under the new one. `delta` is the whole change.
pub fn between(delta: &Delta, (old, old_mask): (&Profile, LeafSet), (new, new_mask): (&Profile, LeafSet)) -> Delta {
    let (before, after) = (delta.before.and(old_mask), delta.after.and(new_mask));
    let changes = if old_mask == new_mask {
        delta.changes.iter().filter(|change| new_mask.has(change.leaf)).cloned().collect()
    } else {
        let value = |profile: &Profile, seen: LeafSet, leaf| profile.get(leaf).filter(|_| seen.has(leaf)).cloned();
        let both = before.or(after).iter();
        let changes = both.map(|leaf| LeafChange { leaf, old: value(old, before, leaf), new: value(new, after, leaf) });
        changes.filter(|change| change.old != change.new).collect()
    };
    Delta { base: delta.base, revision: delta.revision, before, after, changes }
}

fn new_leaf(change: &LeafChange) -> Option<(crate::table::Leaf, crate::canonical::CanonicalJson)> {
    Some((change.leaf, change.new.clone()?))
}
