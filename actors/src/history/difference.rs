//! The difference between two views of a user.

use domain::profile::SCHEMA_VERSION;
use domain::publication::{operations_between, patch_id};
use domain::table::LeafSet;

use crate::reading::ReadInput;

/// The difference between two views of a user, both under today's mask.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The id of the profile.
    pub profile_id: String,
    /// The id of the patch, which is the same whenever the same two revisions are compared.
    pub patch_id: String,
    /// The schema version of both views.
    pub schema_version: &'static str,
    /// The revision that the operations apply to.
    pub base_revision: u64,
    /// The revision that they lead to. It may be the older one.
    pub revision: u64,
    /// When that revision was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// The operations of a JSON Patch, as JSON text. They include the members of the envelope.
    pub operations: String,
    /// The leaves that the viewer may see.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Difference {
    /// Compares two states under the mask of the first input.
    pub(super) fn between(from: &ReadInput<'_>, to: &ReadInput<'_>) -> Self {
        let (before, after) = (from.state, to.state);
        let (base_revision, revision) = (before.envelope.revision, after.envelope.revision);
        let profile_id = after.envelope.profile_id;
        Self {
            profile_id: profile_id.to_string(),
            patch_id: patch_id(profile_id, base_revision, revision),
            schema_version: SCHEMA_VERSION,
            base_revision,
            revision,
            generated_at: after.envelope.generated_at,
            operations: operations_between(before, after, from.mask),
            leaves: from.mask,
            generation: after.generation,
        }
    }
}
