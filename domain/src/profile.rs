//! The civic profile: canonical bytes per leaf, grouped into sections that revisions share.

use std::sync::Arc;

use crate::access::{Consent, SharingLevel};
use crate::canonical::{CanonicalJson, write_number};
use crate::day::format_instant;
use crate::id::ProfileId;
use crate::integrity::Hash;
use crate::packed_chunk::PackedChunk;
use crate::schema_version::SchemaVersion;
use crate::table::{Leaf, LeafSet, Member};

/// The schema version that profiles are assembled and hashed in.
pub const SCHEMA_VERSION: &str = SchemaVersion::CANONICAL.name();

/// All members but the envelope. Cloning shares the sections.
///
/// The sections of an unpacked state are decoded when they are first read.
#[derive(Clone, Default)]
pub struct Profile {
    /// The sections as they were unpacked.
    stored: Option<Arc<dyn StoredSections>>,
    /// The sections that changed since, each in place of the stored one.
    own: [Option<Arc<Section>>; Member::COUNT],
    present: LeafSet,
}

/// The sections of a packed state.
pub(crate) trait StoredSections: Send + Sync {
    /// Returns the section of a member, which is decoded if this is the first call.
    fn section(&self, member: Member) -> Option<&Section>;

    /// Returns the packed form of a section.
    fn packed(&self, member: Member) -> Option<PackedChunk<'_>>;
}

/// The present leaves of one member, in canonical order. Never empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    leaves: Vec<(Leaf, CanonicalJson)>,
}

/// The members that every viewer of a profile sees, whatever the mask, but for the `profile_hash`, which is computed when
/// somebody looks at it. The id never changes within a generation, the others change with every revision.
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
}

impl Envelope {
    /// Returns `assembly_latency_ms` as the document shows it.
    pub fn assembly_latency_ms(&self) -> CanonicalJson {
        CanonicalJson::number(f64::from(self.assembly_latency_micros) / 1000.0)
    }

    /// Returns the members that change with every revision, as a JSON object; with `revision` if the schema version has it.
    pub(crate) fn changing_members(&self, profile_hash: &Hash, has_revision: bool) -> String {
        let mut out = String::with_capacity(200);
        out.push_str("{\"assembly_latency_ms\":");
        write_number(&mut out, f64::from(self.assembly_latency_micros) / 1000.0);
        out.push_str(",\"generated_at\":\"");
        out.push_str(&format_instant(self.generated_at));
        out.push_str("\",\"profile_hash\":\"");
        push_hex(&mut out, profile_hash);
        out.push('"');
        if has_revision {
            out.push_str(",\"revision\":");
            out.push_str(CanonicalJson::integer(self.revision as i64).as_str());
        }
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

    /// Returns the profile of a packed state, whose leaves `present` are present.
    pub(crate) fn from_stored(stored: Arc<dyn StoredSections>, present: LeafSet) -> Self {
        Self { stored: Some(stored), present, ..Self::default() }
    }

    /// Returns the section of a member.
    pub fn section(&self, member: Member) -> Option<&Section> {
        if self.present.and(member.leaves()).is_empty() {
            return None;
        }
        self.own[member as usize].as_deref().or_else(|| self.stored.as_ref()?.section(member))
    }

    /// Returns the section of a member if it changed since it was unpacked.
    pub(crate) fn own(&self, member: Member) -> Option<&Section> {
        self.own[member as usize].as_deref()
    }

    /// Returns the packed form of a section that did not change since it was unpacked.
    pub(crate) fn packed(&self, member: Member) -> Option<PackedChunk<'_>> {
        if self.own[member as usize].is_some() { None } else { self.stored.as_ref()?.packed(member) }
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

    /// Returns the citizen's consent, or `None` if it is as it was when the state was unpacked.
    pub fn written_consent(&self) -> Option<Consent> {
        let is_present = !self.present.and(Member::Consent.leaves()).is_empty();
        if is_present && self.packed(Member::Consent).is_some() { None } else { Some(self.consent()) }
    }

    /// Replaces a member by a newly assembled one, and returns whether that changed anything.
    pub fn replace(&mut self, member: Member, section: Option<Section>) -> bool {
        if self.section(member) == section.as_ref() {
            return false;
        }
        let present = section.iter().flat_map(Section::leaves).map(|(leaf, _)| *leaf).collect();
        self.present = self.present.without(member.leaves()).or(present);
        self.own[member as usize] = section.map(Arc::new);
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

    /// Returns every present leaf with its value, in canonical order.
    pub fn leaves(&self) -> impl Iterator<Item = (Leaf, &CanonicalJson)> {
        let sections = Member::ALL.iter().filter_map(|member| self.section(*member));
        sections.flat_map(|section| section.leaves.iter().map(|(leaf, value)| (*leaf, value)))
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.present == other.present
            && Member::ALL.iter().all(|member| self.section(*member) == other.section(*member))
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.leaves()).finish()
    }
}
