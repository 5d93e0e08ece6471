//! Everything that is known about one user at one point of the history.

use crate::access::Consent;
use crate::day::Day;
use crate::documents::SourceDocuments;
use crate::id::ProfileId;
use crate::integrity::{Hash, Hashed, LazyTree, MemberProof, Salts};
use crate::profile::{Envelope, Profile};
use crate::table::{LeafSet, Member};

/// A user's state: source documents, the profile assembled from them, and what the next revision depends on.
///
/// Persistent: a clone shares documents and sections, so that a chain of uncommitted states is cheap.
#[derive(Clone)]
pub struct UserState {
    /// The erasure generation, from 1.
    pub generation: u32,
    /// When the generation before was erased, in microseconds since the Unix epoch; [`NO_ERASURE`] in the first one. Events that
    /// are not later stay refused.
    pub begins_after: i64,
    /// How many frames made this state.
    pub sequence: u64,
    /// The calendar day that time-derived values are of.
    pub day: Day,
    /// The fingerprint of the rules that the profile was assembled under.
    pub rules: u32,
    /// The version of the access policy at the last revision.
    pub policy: u32,
    /// The inputs of the hash tree besides the values.
    pub salts: Salts,
    /// The envelope, which every viewer of the profile sees.
    pub envelope: Envelope,
    /// The assembled profile.
    pub profile: Profile,
    /// The documents that the profile was assembled from.
    pub documents: SourceDocuments,
    /// The hash tree.
    pub(crate) tree: LazyTree,
}

/// What [`UserState::begins_after`] is if there was no erasure.
pub const NO_ERASURE: i64 = i64::MIN;

/// The values that a generation begins with.
pub(crate) struct NewGeneration {
    pub(crate) profile_id: ProfileId,
    pub(crate) integrity_key: [u8; 16],
    pub(crate) generation: u32,
    pub(crate) begins_after: i64,
    pub(crate) first_revision: u64,
    pub(crate) day: Day,
    pub(crate) rules: u32,
    pub(crate) policy: u32,
}

impl UserState {
    /// Returns the empty state before a generation's first frame.
    pub(crate) fn new(beginning: NewGeneration) -> Self {
        let NewGeneration { profile_id, integrity_key, generation, begins_after, first_revision, day, rules, policy } =
            beginning;
        Self {
            generation,
            begins_after,
            sequence: 0,
            day,
            rules,
            policy,
            salts: Salts { key: integrity_key, count: 0, first_revision, changed_at: [0; Member::COUNT] },
            envelope: Envelope {
                profile_id,
                revision: first_revision - 1,
                generated_at: 0,
                assembly_latency_micros: 0,
            },
            profile: Profile::default(),
            documents: SourceDocuments::default(),
            tree: LazyTree::default(),
        }
    }

    /// Returns the citizen's consent as this revision has it.
    pub fn consent(&self) -> Consent {
        self.profile.consent()
    }

    /// Returns the `profile_hash` of this revision. The first call computes it.
    pub fn profile_hash(&self) -> Hash {
        let profile_id = self.envelope.profile_id;
        self.tree.root(Hashed { profile_id, salts: &self.salts, profile: &self.profile })
    }

    /// Returns the members under the `profile_hash`, in the order of their names, with the salts of those that a viewer with
    /// the mask `seen` sees whole.
    pub fn member_proofs(&self, seen: LeafSet) -> Vec<MemberProof> {
        let profile_id = self.envelope.profile_id;
        self.tree.proofs(Hashed { profile_id, salts: &self.salts, profile: &self.profile }, seen)
    }
}

impl std::fmt::Debug for UserState {
    // Keys and values stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserState(revision {}, sequence {})", self.envelope.revision, self.sequence)
    }
}
