//! A profile at a past revision.

use crate::id::ProfileId;
use crate::integrity::{Hash, Hashed, LazyTree, Salts};
use crate::profile::{Envelope, Profile};
use crate::state::UserState;

/// A profile as it stood at a revision.
#[derive(Debug, Clone)]
pub struct PastProfile {
    /// The id of the profile.
    pub profile_id: ProfileId,
    /// The revision that the profile had.
    pub revision: u64,
    /// When the revision was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// All members but the envelope.
    pub profile: Profile,
    pub(crate) salts: Salts,
    pub(crate) tree: LazyTree,
}

impl PastProfile {
    /// Returns the profile of a state.
    pub fn from_state(state: &UserState) -> Self {
        let UserState { envelope, profile, salts, tree, .. } = state;
        let Envelope { profile_id, revision, generated_at, .. } = *envelope;
        Self { profile_id, revision, generated_at, profile: profile.clone(), salts: *salts, tree: tree.clone() }
    }

    /// Returns the `profile_hash` of the revision.
    pub fn profile_hash(&self) -> Hash {
        self.tree.root(Hashed { profile_id: self.profile_id, salts: &self.salts, profile: &self.profile })
    }
}

impl PartialEq for PastProfile {
    fn eq(&self, other: &Self) -> bool {
        let same_salts = self.salts == other.salts;
        same_salts
            && (self.profile_id, self.revision, &self.profile) == (other.profile_id, other.revision, &other.profile)
    }
}
