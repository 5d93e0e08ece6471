//! The difference between two views of a user.

use domain::mask_class::MaskClass;
use domain::publication::{operations_between, patch_id};
use domain::schema_version::SchemaVersion;
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
    pub schema: SchemaVersion,
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
    pub(super) fn between(from: &ReadInput<'_>, to: &ReadInput<'_>, schema: SchemaVersion) -> Self {
        let (before, after) = (from.state, to.state);
        let (base_revision, revision) = (before.envelope.revision, after.envelope.revision);
        let profile_id = after.envelope.profile_id;
        Self {
            profile_id: profile_id.to_string(),
            patch_id: patch_id(profile_id, base_revision, revision),
            schema,
            base_revision,
            revision,
            generated_at: after.envelope.generated_at,
            operations: operations_between(before, after, MaskClass::for_version(from.mask, schema)),
            leaves: from.mask,
            generation: after.generation,
        }
    }
}
