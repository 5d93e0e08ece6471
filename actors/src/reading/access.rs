//! What a viewer may see of a profile. The answer is about the mask alone, and not about what the profile has.

use domain::access::MaskedBy;
use domain::table::Leaf;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks what the viewer may see.
#[derive(Debug, Clone, Copy)]
pub struct ReadAccess;

/// What a viewer may see of a profile.
#[derive(Debug, Clone)]
pub struct Access {
    /// Each leaf of the schema, with what masks it; `None` if the viewer may see it.
    pub leaves: Vec<(Leaf, Option<MaskedBy>)>,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Reading for ReadAccess {
    type Answer = Access;

    fn answer(&self, input: &ReadInput<'_>) -> Result<Access, ReadError> {
        let ReadInput { state, policy, viewer, .. } = *input;
        Ok(Access { leaves: policy.explain(viewer, state.consent()), generation: state.generation })
    }
}
