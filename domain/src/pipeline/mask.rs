//! Stage 7, mask: the only place that turns a profile, or a change of one, into what a viewer receives.

use json_patch::{Patch, PatchOperation};

use super::diff::{add_section, leaf_operations, remove_section};
use crate::delta::{Delta, LeafChange};
use crate::mask_class::MaskClass;
use crate::name_table::NameTable;
use crate::profile::Profile;
use crate::table::LeafSet;

/// Returns the patch from a mask class's view before to its view after: diff(mask(a), mask(b)).
///
/// Applied to the old view it gives exactly the new one, except for the envelope, which is sent separately.
/// The patch is empty if the class sees nothing of the change.
pub fn patch(delta: &Delta, class: MaskClass) -> Patch {
    patch_in(class.schema().table(), delta, class.leaves())
}

/// Returns the patch between two views with the names of a version, of viewers of these leaves.
pub(super) fn patch_in(table: &NameTable, delta: &Delta, mask: LeafSet) -> Patch {
    let mut operations: Vec<PatchOperation> = Vec::new();
    let visible = delta.changed().and(mask);
    for member in table.members(visible) {
        let leaves = member.leaves.and(mask);
        let changes = delta.changes.iter().filter(|change| leaves.has(change.leaf));
        let changes = changes.filter_map(|change| Some((table.name(change.leaf)?, change)));
        let (before, after) = (delta.before.and(leaves), delta.after.and(leaves));
        if !member.is_leaf && before.is_empty() {
            // All that the viewer sees of the section is new, so the change holds the whole of it.
            operations.push(add_section(member.name, changes));
        } else if !member.is_leaf && after.is_empty() {
            operations.push(remove_section(member.name));
        } else {
            changes.for_each(|(name, change)| leaf_operations(name, change, &mut operations));
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
