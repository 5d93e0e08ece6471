//! Name tables: what a schema version calls the leaves of the profile, and how much of their values it shows.
//!
//! A version is nothing but such a table over the leaves that every version has in common. Views, patches, sparse views and
//! the JSON Schema read their names here, so they work in every version, and masks, which are sets of leaves, know nothing
//! of versions.

mod projection;
mod tables;

pub(crate) use projection::Projection;
pub(crate) use tables::{V1_0, V1_0_LEAVES, V2_0};

use crate::table::{FIELDS, Leaf, LeafSet};

/// The names of one schema version.
#[derive(Debug)]
pub(crate) struct NameTable {
    /// The version as documents name it.
    pub(crate) version: &'static str,
    /// Whether the envelope has `revision`.
    pub(crate) has_revision: bool,
    members: Vec<DocumentMember>,
    /// By leaf, in canonical order.
    names: [Option<LeafName>; Leaf::COUNT],
}

/// A top-level member of a document, besides those of the envelope.
#[derive(Debug)]
pub(crate) struct DocumentMember {
    pub(crate) name: &'static str,
    /// Whether the member is itself a leaf, and not a section.
    pub(crate) is_leaf: bool,
    pub(crate) leaves: LeafSet,
    /// The leaves in the bytewise order of their names, which is the order of a canonical object.
    pub(crate) ordered: Vec<Leaf>,
}

/// What a version calls a leaf.
#[derive(Debug, Clone)]
pub(crate) struct LeafName {
    /// The dotted path.
    pub(crate) path: &'static str,
    /// The name within the section; empty where the top-level member is the leaf.
    pub(crate) name: &'static str,
    /// The JSON Pointer of the value.
    pub(crate) pointer: String,
    pub(crate) projection: Projection,
}

/// How a version differs from a neighbour, whose table is there already.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) version: &'static str,
    pub(crate) has_revision: bool,
    /// The leaves that the version does not have.
    pub(crate) omitted: LeafSet,
    /// The leaves with other paths: a dotted path in a section, or a name without a dot for a top-level member.
    pub(crate) renamed: &'static [(Leaf, &'static str)],
    /// The leaves that are shown in part.
    pub(crate) projected: &'static [(Leaf, Projection)],
}

impl NameTable {
    /// Returns the version that has the names of the field table.
    fn from_fields(version: &'static str) -> Self {
        let names = FIELDS.iter().map(|field| (field.leaf, LeafName::new(field.path, Projection::Whole)));
        Self::new(version, true, names.collect())
    }

    /// Returns the version that differs from this one in `difference`.
    pub(crate) fn with(&self, difference: &Difference) -> Self {
        let kept = FIELDS.iter().map(|field| field.leaf).filter(|leaf| !difference.omitted.has(*leaf));
        let find = |leaf: Leaf| {
            let own = self.name(leaf)?;
            let renamed = difference.renamed.iter().find(|(of, _)| *of == leaf).map(|(_, path)| *path);
            let projected = difference.projected.iter().find(|(of, _)| *of == leaf).map(|(_, projection)| *projection);
            Some((leaf, LeafName::new(renamed.unwrap_or(own.path), projected.unwrap_or(own.projection))))
        };
        Self::new(difference.version, difference.has_revision, kept.filter_map(find).collect())
    }

    fn new(version: &'static str, has_revision: bool, mut rows: Vec<(Leaf, LeafName)>) -> Self {
        rows.sort_by_key(|(_, name)| name.parts());
        let (mut members, mut names) = (Vec::<DocumentMember>::new(), [const { None }; Leaf::COUNT]);
        for (leaf, name) in rows {
            let (member, in_member) = name.parts();
            if members.last().is_none_or(|last| last.name != member) {
                let is_leaf = in_member.is_empty();
                members.push(DocumentMember { name: member, is_leaf, leaves: LeafSet::EMPTY, ordered: Vec::new() });
            }
            if let Some(last) = members.last_mut() {
                last.leaves.insert(leaf);
                last.ordered.push(leaf);
            }
            names[leaf as usize] = Some(name);
        }
        Self { version, has_revision, members, names }
    }

    /// Returns what the version calls a leaf; `None` if it does not have it.
    pub(crate) fn name(&self, leaf: Leaf) -> Option<&LeafName> {
        self.names[leaf as usize].as_ref()
    }

    /// Returns the members that have a leaf in the set, in canonical order.
    pub(crate) fn members(&self, leaves: LeafSet) -> impl Iterator<Item = &DocumentMember> {
        self.members.iter().filter(move |member| !leaves.and(member.leaves).is_empty())
    }

    /// Returns the member of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&DocumentMember> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Returns the leaves that a name stands for: all of a top-level member, or the one of a dotted path. The set is empty
    /// for a name that the version does not have.
    pub(crate) fn named(&self, name: &str) -> LeafSet {
        match self.member(name) {
            Some(member) => member.leaves,
            None => FIELDS
                .iter()
                .map(|field| field.leaf)
                .filter(|leaf| self.name(*leaf).is_some_and(|found| found.path == name))
                .collect(),
        }
    }
}

impl LeafName {
    fn new(path: &'static str, projection: Projection) -> Self {
        let (_, name) = path.split_once('.').unwrap_or((path, ""));
        Self { path, name, pointer: format!("/{}", path.replace('.', "/")), projection }
    }

    /// Returns the top-level member, and the name in it.
    fn parts(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').unwrap_or((self.path, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Member;

    #[test]
    fn the_canonical_version_has_the_names_of_the_field_table() {
        let members: Vec<_> = V2_0.members(LeafSet::ALL).map(|member| (member.name, member.leaves)).collect();
        let expected: Vec<_> = Member::ALL.iter().map(|member| (member.name(), member.leaves())).collect();
        assert_eq!(members, expected);
        for field in &FIELDS {
            let name = V2_0.name(field.leaf).expect("it has every leaf");
            assert_eq!((name.path, name.name, name.projection), (field.path, field.name, Projection::Whole));
        }
    }

    #[test]
    fn an_older_name_stands_for_its_leaf_and_a_newer_one_for_nothing() {
        assert_eq!(V1_0.named("upcoming_deadlines"), LeafSet::only(Leaf::DeadlinesUpcoming));
        assert_eq!(V1_0.named("eligibility"), Member::Eligibility.leaves());
        for name in ["deadlines", "deadlines.upcoming", "risk_scores", "trust.overall_confidence", "", "revision"] {
            assert_eq!(V1_0.named(name), LeafSet::EMPTY, "{name}");
        }
        assert_eq!(V2_0.named("upcoming_deadlines"), LeafSet::EMPTY);
    }
}
