//! Versions of the profile's schema.

use crate::name_table::{self, NameTable};
use crate::table::{Leaf, LeafSet};

/// A version of a document's schema.
///
/// The numbers are part of cursors and ETags: they never change and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SchemaVersion {
    /// Version 1.0, for older consumers.
    V1_0 = 0x10,
    /// Version 2.0.
    V2_0 = 0x20,
}

/// When a version stopped being recommended, and when it may stop being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deprecation {
    /// Since when the version is deprecated, in seconds since the Unix epoch.
    pub since: i64,
    /// From when on the version may be refused, in seconds since the Unix epoch.
    pub sunset: i64,
}

impl SchemaVersion {
    /// Every version that is served, the newest first.
    pub const ALL: &'static [Self] = &[Self::V2_0, Self::V1_0];

    /// The newest version, which callers receive who ask for none.
    pub const NEWEST: Self = Self::V2_0;

    /// The version whose names the field table has, and over which `profile_hash` is computed. It stays the same when a
    /// newer version is added, so that a revision has one `profile_hash` for ever.
    pub const CANONICAL: Self = Self::V2_0;

    /// Returns the version as documents name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V2_0 => "2.0",
        }
    }

    /// Returns the version that documents name so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.name() == name)
    }

    /// Returns the leaves that the version has. A hit of the view cache asks for them, so they are a constant.
    pub const fn leaves(self) -> LeafSet {
        match self {
            Self::V1_0 => name_table::V1_0_LEAVES,
            Self::V2_0 => LeafSet::ALL,
        }
    }

    /// Returns the deprecation of the version; `None` if it is not deprecated.
    pub const fn deprecation(self) -> Option<Deprecation> {
        match self {
            // From 2026-11-01 to 2027-11-01, each 00:00 UTC.
            Self::V1_0 => Some(Deprecation { since: 1_793_491_200, sunset: 1_825_027_200 }),
            Self::V2_0 => None,
        }
    }

    /// Returns the dotted path of a leaf; `None` if the version does not have it.
    pub fn path(self, leaf: Leaf) -> Option<&'static str> {
        self.table().name(leaf).map(|name| name.path)
    }

    /// Returns the names of the top-level members that have a leaf in the set, in canonical order.
    pub fn sections(self, leaves: LeafSet) -> impl Iterator<Item = &'static str> {
        self.table().members(leaves).map(|member| member.name)
    }

    /// Returns the names of the version.
    pub(crate) fn table(self) -> &'static NameTable {
        match self {
            Self::V1_0 => &name_table::V1_0,
            Self::V2_0 => &name_table::V2_0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_listed_from_the_newest_to_the_oldest_and_found_by_name() {
        assert_eq!(SchemaVersion::ALL.first(), Some(&SchemaVersion::NEWEST));
        assert!(SchemaVersion::ALL.is_sorted_by(|a, b| (*a as u8) > (*b as u8)));
        for version in SchemaVersion::ALL {
            assert_eq!(SchemaVersion::parse(version.name()), Some(*version));
            assert!(version.deprecation().is_none_or(|deprecation| deprecation.since < deprecation.sunset));
        }
        assert_eq!(SchemaVersion::NEWEST.deprecation(), None);
        assert!(["", "1", "2.00", "3.0"].iter().all(|name| SchemaVersion::parse(name).is_none()));
    }

    #[test]
    fn every_version_names_a_leaf_once_and_in_canonical_order() {
        for version in SchemaVersion::ALL {
            let table = version.table();
            let members: Vec<_> = table.members(LeafSet::ALL).collect();
            let leaves = members.iter().fold(LeafSet::EMPTY, |all, member| all.or(member.leaves));
            assert_eq!((table.version, leaves), (version.name(), version.leaves()));
            assert!(members.is_sorted_by(|a, b| a.name < b.name), "{version:?}");
            for member in members {
                let names: Vec<_> = member.ordered.iter().filter_map(|leaf| table.name(*leaf)).collect();
                assert_eq!(names.len(), member.leaves.len());
                assert!(names.is_sorted_by(|a, b| a.name < b.name), "{}", member.name);
                assert!(names.iter().all(|name| name.name.is_empty() == member.is_leaf), "{}", member.name);
                assert_eq!(table.named(member.name), member.leaves);
                let of_paths = names.iter().fold(LeafSet::EMPTY, |all, name| all.or(table.named(name.path)));
                assert_eq!(of_paths, member.leaves);
            }
        }
    }
}
