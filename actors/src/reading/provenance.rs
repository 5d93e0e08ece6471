//! The profile with the source of each value.

use domain::pipeline::explain::{self, Provenance};
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;

use super::kind::{ReadInput, Reading};
use super::view::{ReadView, View};
use crate::error::ReadError;

/// Asks for the whole view, and for the provenance of some leaves of it.
#[derive(Debug, Clone, Copy)]
pub struct ReadProvenance {
    /// The schema version that the view is written in.
    pub schema: SchemaVersion,
    /// The leaves whose provenance is asked for.
    pub leaves: LeafSet,
}

/// The view and the provenance of one state.
#[derive(Debug, Clone)]
pub struct ViewWithProvenance {
    /// The whole view.
    pub view: View,
    /// The provenance of what the view has of the leaves that were asked for.
    pub provenance: Vec<Provenance>,
}

impl Reading for ReadProvenance {
    type Answer = ViewWithProvenance;

    fn answer(&self, input: &ReadInput<'_>) -> Result<ViewWithProvenance, ReadError> {
        let view = ReadView { schema: self.schema }.answer(input)?;
        let provenance = explain::provenance(input.state, self.leaves.and(view.class.leaves()));
        Ok(ViewWithProvenance { view, provenance })
    }
}
