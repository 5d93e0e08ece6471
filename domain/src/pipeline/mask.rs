//! Stage 7, mask: the only place that turns a profile, or a change of one, into what a viewer receives.

use json_patch::{Patch, PatchOperation};
use serde::Serialize;

use super::diff::{add_section, leaf_operations, remove_section};
use super::explain;
use crate::delta::{Delta, LeafChange};
use crate::mask_class::MaskClass;
use crate::name_table::{DocumentMember, LeafName, NameTable};
use crate::profile::Profile;
use crate::source::Source;
use crate::state::UserState;
use crate::table::{Leaf, LeafSet};

/// An operation of a patch, with the source of the value that it leads to. RFC 6902, section 4, has readers ignore members that
/// an operation does not define, so the operation is one of every JSON Patch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourcedOperation {
    /// What RFC 6902 defines of it.
    #[serde(flatten)]
    pub operation: PatchOperation,
    /// The name of the source; `None` where the operation removes the value, and where the server derives it.
    #[serde(rename = "x-source", skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
}

/// Returns the patch from a mask class's view before to its view after: diff(mask(a), mask(b)).
///
/// Applied to the old view it gives exactly the new one, except for the envelope, which is sent separately.
/// The patch is empty if the class sees nothing of the change.
pub fn patch(delta: &Delta, class: MaskClass) -> Patch {
    patch_in(class.schema().table(), delta, class.leaves())
}

/// Returns the patch of [`patch`] with the source of each value, as [`explain::provenance`] has it of `state`, which the patch leads
/// to. Each operation is about one leaf: a section that appears is added empty, and its leaves follow.
///
/// It tells nothing of leaves that the class does not see: the sources are looked up for leaves that it sees change.
pub fn patch_with_sources(delta: &Delta, class: MaskClass, state: &UserState) -> Vec<SourcedOperation> {
    let (table, mask) = (class.schema().table(), class.leaves());
    let provenance = explain::provenance(state, delta.changed().and(mask));
    let source = |leaf: Leaf| provenance.iter().find(|of| of.leaf == leaf).map(|of| of.source).map(Source::name);
    let (mut operations, mut of_leaf) = (Vec::new(), Vec::new());
    let unsourced = |operation| SourcedOperation { operation, source: None };
    for (member, effect) in members(table, delta, mask) {
        match effect {
            SectionEffect::Removed => {
                operations.push(unsourced(remove_section(member.name)));
                continue;
            }
            SectionEffect::Added => operations.push(unsourced(add_section(member.name, std::iter::empty()))),
            SectionEffect::Changed => {}
        }
        for (name, change) in changes(table, delta, member.leaves.and(mask)) {
            leaf_operations(name, change, &mut of_leaf);
            let source = source(change.leaf);
            operations.extend(of_leaf.drain(..).map(|operation| {
                let removes = matches!(operation, PatchOperation::Remove(_));
                SourcedOperation { operation, source: source.filter(|_| !removes) }
            }));
        }
    }
    operations
}

/// Returns the patch between two views with the names of a version, of viewers of these leaves.
pub(super) fn patch_in(table: &NameTable, delta: &Delta, mask: LeafSet) -> Patch {
    let mut operations: Vec<PatchOperation> = Vec::new();
    for (member, effect) in members(table, delta, mask) {
        let changes = changes(table, delta, member.leaves.and(mask));
        match effect {
            // All that the viewer sees of the section is new, so the change holds the whole of it.
            SectionEffect::Added => operations.push(add_section(member.name, changes)),
            SectionEffect::Removed => operations.push(remove_section(member.name)),
            SectionEffect::Changed => changes.for_each(|(name, change)| leaf_operations(name, change, &mut operations)),
        }
    }
    Patch(operations)
}

/// What a change does to a top-level member of a view.
enum SectionEffect {
    /// The section was not there before.
    Added,
    /// The section is not there any more.
    Removed,
    /// The section is there before and after, or the member is a leaf.
    Changed,
}

/// Returns the members in which the viewers of these leaves see a change, in canonical order.
fn members<'t>(
    table: &'t NameTable,
    delta: &Delta,
    mask: LeafSet,
) -> impl Iterator<Item = (&'t DocumentMember, SectionEffect)> {
    table.members(delta.changed().and(mask)).map(move |member| {
        let leaves = member.leaves.and(mask);
        let effect = match () {
            () if member.is_leaf => SectionEffect::Changed,
            () if delta.before.and(leaves).is_empty() => SectionEffect::Added,
            () if delta.after.and(leaves).is_empty() => SectionEffect::Removed,
            () => SectionEffect::Changed,
        };
        (member, effect)
    })
}

/// Returns the changes of leaves that the version has.
fn changes<'a>(
    table: &'a NameTable,
    delta: &'a Delta,
    leaves: LeafSet,
) -> impl Iterator<Item = (&'a LeafName, &'a LeafChange)> {
    let changes = delta.changes.iter().filter(move |change| leaves.has(change.leaf));
    changes.filter_map(|change| Some((table.name(change.leaf)?, change)))
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
