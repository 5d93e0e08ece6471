//! What a client asks to receive of a user.

use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;

/// The schema version, the leaves and the sources that a client asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestedView {
    /// The schema version of the documents and patches.
    pub(super) schema: SchemaVersion,
    /// The leaves; `None` asks for all that the caller may see.
    pub(super) fields: Option<LeafSet>,
    /// Whether patches name the sources of values.
    pub(super) names_sources: bool,
}
