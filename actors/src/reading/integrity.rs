//! The leaves of the hash tree under `profile_hash`.

use domain::integrity::{Hash, MemberProof};
use domain::table::LeafSet;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks for the leaves of the hash tree.
#[derive(Debug, Clone, Copy)]
pub struct ReadIntegrity;

/// The hash tree of a profile, as far as the viewer can check it.
#[derive(Debug, Clone)]
pub struct Integrity {
    /// The id of the profile, as it is hashed.
    pub profile_id: String,
    /// The revision of the tree.
    pub revision: u64,
    /// The root.
    pub profile_hash: Hash,
    /// The members of the tree, with the salts of those that the viewer sees whole.
    pub members: Vec<MemberProof>,
    /// The leaves that the viewer sees.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Reading for ReadIntegrity {
    type Answer = Integrity;

    fn answer(&self, input: &ReadInput<'_>) -> Result<Integrity, ReadError> {
        let ReadInput { state, mask, .. } = *input;
        Ok(Integrity {
            profile_id: state.envelope.profile_id.to_string(),
            revision: state.envelope.revision,
            profile_hash: state.profile_hash(),
            members: state.member_proofs(mask),
            leaves: mask,
            generation: state.generation,
        })
    }
}
