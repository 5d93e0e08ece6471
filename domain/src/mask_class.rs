//! Mask classes: what distinguishes the views of one revision from each other.

use crate::schema_version::SchemaVersion;
use crate::table::LeafSet;

/// A document that the server keeps about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DocumentKind {
    /// The profile.
    Profile = 1,
}

/// All viewers with the same view: the document, the leaves that they may see, whether the document has them or not, and
/// the schema version in which it is written. Leaves that the schema version does not have are left out, so that viewers whose
/// masks differ in nothing else share their views.
///
/// A class is made where a view or a subscription of it begins, which is when the leaves are brought into the order of their
/// stored numbers. It is kept beside what was made for it, so that a view from the cache costs no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MaskClass {
    leaves: LeafSet,
    numbers: u64,
    document: DocumentKind,
    schema: SchemaVersion,
}

impl MaskClass {
    /// The class of viewers who see every leaf of the profile in the newest schema version.
    pub const UNMASKED: Self = Self::for_profile(LeafSet::ALL);

    /// Returns the class of viewers who see these leaves of the profile in the newest schema version.
    pub const fn for_profile(leaves: LeafSet) -> Self {
        Self::for_version(leaves, SchemaVersion::NEWEST)
    }

    /// Returns the class of viewers who see these leaves of the profile in a schema version.
    pub const fn for_version(leaves: LeafSet, schema: SchemaVersion) -> Self {
        let leaves = leaves.and(schema.leaves());
        Self { leaves, numbers: leaves.numbers(), document: DocumentKind::Profile, schema }
    }

    /// Returns the leaves that the viewers may see and the schema version has.
    pub const fn leaves(self) -> LeafSet {
        self.leaves
    }

    /// Returns the schema version that the viewers receive.
    pub const fn schema(self) -> SchemaVersion {
        self.schema
    }

    /// Returns the leaves as bits by stored number, which two releases agree on.
    pub const fn numbers(self) -> u64 {
        self.numbers
    }

    /// Returns the numbers of the document and of its schema version, which never change and are never reused.
    pub const fn form(self) -> u16 {
        (self.document as u16) << 8 | self.schema as u16
    }

    /// Returns the class as bytes for keys and seals outside this process. They are the same in every release.
    pub const fn to_bytes(self) -> [u8; 10] {
        let [document, schema] = self.form().to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.numbers.to_be_bytes();
        [document, schema, a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Leaf;

    #[test]
    fn the_bytes_of_a_class_are_those_of_the_first_release() {
        let leaves = [Leaf::CohortTags, Leaf::DemographicsState, Leaf::EconomicIncomeBracket];
        let class = MaskClass::for_profile(leaves.into_iter().collect());
        assert_eq!(class.to_bytes(), [1, 0x20, 0, 0, 0x02, 0, 0, 0, 0x21, 0]);
        let older = MaskClass::for_version(class.leaves(), SchemaVersion::V1_0);
        assert_eq!(older.to_bytes(), [1, 0x10, 0, 0, 0, 0, 0, 0, 0x21, 0], "it has no cohort tags");
    }
}
