//! A profile at a past revision.

use crate::id::ProfileId;
use crate::profile::Profile;
use crate::state::UserState;

/// A profile as it stood at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct PastProfile {
    /// The id of the profile.
    pub profile_id: ProfileId,
    /// The revision that the profile had.
    pub revision: u64,
    /// All members but the envelope.
    pub profile: Profile,
}

impl PastProfile {
    pub(crate) fn from_state(state: &UserState) -> Self {
        let UserState { envelope, profile, .. } = state;
        Self { profile_id: envelope.profile_id, revision: envelope.revision, profile: profile.clone() }
    }
}
