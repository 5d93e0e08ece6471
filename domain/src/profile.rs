//! The civic profile: canonical bytes per leaf, grouped into sections that revisions share.

use std::sync::Arc;

use crate::access::{Consent, SharingLevel};
use crate::canonical::{CanonicalJson, write_number};
use crate::day::format_instant;
use crate::id::ProfileId;
use crate::mask_class::SchemaVersion;
use crate::table::{Leaf, LeafSet, Member};

/// The schema version that profiles are assembled in.
pub const SCHEMA_VERSION: &str = SchemaVersion::NEWEST.name();

/// All members but the envelope. Cloning shares the sections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    members: [Option<Arc<Section>>; Member::COUNT],
    present: LeafSet,
}

/// The present leaves of one member, in canonical order. Never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    leaves: Vec<(Leaf, CanonicalJson)>,
}

/// The members that every viewer of a profile sees, whatever the mask. The first two never change within a generation,
/// the others with every revision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Envelope {
    /// The profile's id, the same for all revisions of a generation.
    pub profile_id: ProfileId,
    /// Counts the changes of the profile, from 1.
    pub revision: u64,
    /// When this revision was assembled: microseconds since the Unix epoch. Volatile.
    pub generated_at: i64,
    /// How long this revision took, from receipt to assembled, in microseconds. Volatile.
    pub assembly_latency_micros: u32,
    /// The root of the salted hash tree.
    pub profile_hash: [u8; 32],
}

impl Envelope {
    /// Returns `assembly_latency_ms` as the document shows it.
    pub fn assembly_latency_ms(&self) -> CanonicalJson {
        CanonicalJson::number(f64::from(self.assembly_latency_micros) / 1000.0)
    }

    /// Returns the members that change with every revision, as a JSON object.
    pub fn changing_members(&self) -> String {
        let mut out = String::with_capacity(200);
        out.push_str("{\"assembly_latency_ms\":");
        write_number(&mut out, f64::from(self.assembly_latency_micros) / 1000.0);
        out.push_str(",\"generated_at\":\"");
        out.push_str(&format_instant(self.generated_at));
        out.push_str("\",\"profile_hash\":\"");
        push_hex(&mut out, &self.profile_hash);
        out.push_str("\",\"revision\":");
        out.push_str(CanonicalJson::integer(self.revision as i64).as_str());
        out.push('}');
        out
    }
}

/// Appends bytes in lower-case hexadecimal. It is on hot paths: unlike `hex::encode` it allocates no string of its own.
pub fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

impl Section {
    /// Returns a section of these leaves, which must be in canonical order; `None` when there are none.
    pub fn new(leaves: Vec<(Leaf, CanonicalJson)>) -> Option<Self> {
        debug_assert!(leaves.is_sorted_by(|a, b| a.0 < b.0), "leaves are in canonical order");
        (!leaves.is_empty()).then_some(Self { leaves })
    }

    /// Returns the leaves, in canonical order.
    pub fn leaves(&self) -> &[(Leaf, CanonicalJson)] {
        &self.leaves
    }

    /// Returns the value of a leaf.
    pub fn get(&self, leaf: Leaf) -> Option<&CanonicalJson> {
        self.leaves.iter().find(|(found, _)| *found == leaf).map(|(_, value)| value)
    }

    /// Hands the pieces of the member's canonical form to `piece`, of the leaves in `mask` only.
    ///
    /// The mask must leave at least one leaf.
    pub fn write(&self, mask: LeafSet, mut piece: impl FnMut(&[u8])) {
        let mut open: &[u8] = b"{\"";
        for (leaf, value) in self.leaves.iter().filter(|(leaf, _)| mask.has(*leaf)) {
            let name = leaf.field().name;
            if name.is_empty() {
                return piece(value.as_bytes());
            }
            piece(open);
            piece(name.as_bytes());
            piece(b"\":");
            piece(value.as_bytes());
            open = b",\"";
        }
        piece(b"}");
    }
}

impl Profile {
    /// Returns the leaves that are present.
    pub fn present(&self) -> LeafSet {
        self.present
    }

    /// Returns the section of a member.
    pub fn section(&self, member: Member) -> Option<&Section> {
        self.members[member as usize].as_deref()
    }

    /// Returns the value of a leaf.
    pub fn get(&self, leaf: Leaf) -> Option<&CanonicalJson> {
        self.section(leaf.field().member)?.get(leaf)
    }

    /// Returns the citizen's consent as the profile has it.
    pub fn consent(&self) -> Consent {
        let value = |leaf| self.get(leaf).map(CanonicalJson::as_str);
        let level = match value(Leaf::ConsentDataSharingLevel) {
            Some("\"full\"") => SharingLevel::Full,
            Some("\"standard\"") => SharingLevel::Standard,
            _ => SharingLevel::Minimal,
        };
        Consent { level, third_party_sharing: value(Leaf::ConsentThirdPartySharing) == Some("true") }
    }

    /// Replaces a member by a newly assembled one, and returns whether that changed anything.
    pub fn replace(&mut self, member: Member, section: Option<Section>) -> bool {
        let place = &mut self.members[member as usize];
        if place.as_deref() == section.as_ref() {
            return false;
        }
        let present = section.iter().flat_map(Section::leaves).map(|(leaf, _)| *leaf).collect();
        self.present = self.present.without(member.leaves()).or(present);
        *place = section.map(Arc::new);
        true
    }

    /// Sets or removes one leaf, as a stored change specifies.
    pub fn set(&mut self, leaf: Leaf, value: Option<CanonicalJson>) {
        let member = leaf.field().member;
        let mut leaves = self.section(member).map_or_else(Vec::new, |section| section.leaves.clone());
        leaves.retain(|(found, _)| *found != leaf);
        if let Some(value) = value {
            let index = leaves.partition_point(|(found, _)| *found < leaf);
            leaves.insert(index, (leaf, value));
        }
        self.replace(member, Section::new(leaves));
    }

    /// Returns a profile of stored leaves, which must be in canonical order within each member.
    pub(crate) fn from_leaves(leaves: Vec<(Leaf, CanonicalJson)>) -> Self {
        let mut profile = Self::default();
        let mut leaves = leaves.into_iter().peekable();
        while let Some(first) = leaves.next() {
            let member = first.0.field().member;
            let mut section = vec![first];
            while let Some(next) = leaves.next_if(|(leaf, _)| leaf.field().member == member) {
                section.push(next);
            }
            profile.replace(member, Section::new(section));
        }
        profile
    }

    /// Returns every present leaf with its value, in canonical order.
    pub fn leaves(&self) -> impl Iterator<Item = (Leaf, &CanonicalJson)> {
        self.members.iter().flatten().flat_map(|section| section.leaves.iter().map(|(leaf, value)| (*leaf, value)))
    }
}
