//! Everything that is known about one user at one point of the history.

use crate::access::Consent;
use crate::day::Day;
use crate::documents::SourceDocuments;
use crate::id::ProfileId;
use crate::integrity::{HashTree, Salting};
use crate::profile::{Envelope, Profile};
use crate::table::Member;

/// A user's state: source documents, the profile assembled from them, and what the next revision depends on.
///
/// Persistent: a clone shares documents and sections, so that a chain of uncommitted states is cheap.
#[derive(Clone)]
pub struct UserState {
    /// The erasure generation, from 1.
    pub generation: u32,
    /// How many frames made this state.
    pub sequence: u64,
    /// The first revision of this generation.
    pub first_revision: u64,
    /// The calendar day that time-derived values are of.
    pub day: Day,
    /// The fingerprint of the rules that the profile was assembled under.
    pub rules: u32,
    /// The version of the access policy at the last revision.
    pub policy: u32,
    /// The key of the hash tree's salts.
    pub integrity_key: [u8; 16],
    /// Grows with every change of consent or policy, so that a salt is never reused for another audience.
    pub salt_count: u32,
    /// The revision of each member's last change, by `Member as usize`.
    pub changed_at: [u64; Member::COUNT],
    /// The envelope, which every viewer of the profile sees.
    pub envelope: Envelope,
    /// The assembled profile.
    pub profile: Profile,
    /// The documents that the profile was assembled from.
    pub documents: SourceDocuments,
    /// The hash tree; `None` after unpacking, until it is computed again.
    pub(crate) tree: Option<Box<HashTree>>,
}

/// The values that a generation begins with.
pub(crate) struct NewGeneration {
    pub(crate) profile_id: ProfileId,
    pub(crate) integrity_key: [u8; 16],
    pub(crate) generation: u32,
    pub(crate) first_revision: u64,
    pub(crate) day: Day,
    pub(crate) rules: u32,
    pub(crate) policy: u32,
}

impl UserState {
    /// Returns the empty state before a generation's first frame.
    pub(crate) fn new(beginning: NewGeneration) -> Self {
        let NewGeneration { profile_id, integrity_key, generation, first_revision, day, rules, policy } = beginning;
        Self {
            generation,
            sequence: 0,
            first_revision,
            day,
            rules,
            policy,
            integrity_key,
            salt_count: 0,
            changed_at: [0; Member::COUNT],
            envelope: Envelope {
                profile_id,
                revision: 0,
                generated_at: 0,
                assembly_latency_micros: 0,
                profile_hash: [0; 32],
            },
            profile: Profile::default(),
            documents: SourceDocuments::default(),
            tree: None,
        }
    }

    /// Returns the citizen's consent as this revision has it.
    pub fn consent(&self) -> Consent {
        self.profile.consent()
    }

    /// Returns the values that the salts of this state's members depend on.
    pub fn salting(&self) -> Salting<'_> {
        Salting { key: &self.integrity_key, count: self.salt_count }
    }
}

impl std::fmt::Debug for UserState {
    // Keys and values stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserState(revision {}, sequence {})", self.envelope.revision, self.sequence)
    }
}
