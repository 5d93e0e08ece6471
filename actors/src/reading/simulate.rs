//! What-if: the profile that would result from hypothetical events.

use std::sync::Arc;

use domain::event::FeedEvent;
use domain::mask_class::MaskClass;
use domain::pipeline::simulate::Simulation;
use domain::schema_version::SchemaVersion;
use json_patch::Patch;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks what the profile would be after these events, in their order. Nothing is stored, and no actor is involved.
#[derive(Debug, Clone)]
pub struct Simulate {
    /// The events, which are about the user that is read.
    pub events: Vec<FeedEvent>,
    /// The schema version that the answer is written in.
    pub schema: SchemaVersion,
}

/// The profile that would result, as the viewer may see it under the real consent.
#[derive(Debug, Clone)]
pub struct SimulatedProfile {
    /// The document in canonical JSON, with the envelope of the committed revision.
    pub body: Vec<u8>,
    /// The patch from the view of the committed revision to the document.
    pub patch: Patch,
    /// The committed revision.
    pub revision: u64,
    /// The erasure generation of the user.
    pub generation: u32,
    /// The mask class that sees the document.
    pub class: MaskClass,
}

impl Reading for Simulate {
    type Answer = SimulatedProfile;

    fn answer(&self, input: &ReadInput<'_>) -> Result<SimulatedProfile, ReadError> {
        let ReadInput { state, mask, rules, .. } = *input;
        let (head, class) = (Arc::new(state.clone()), MaskClass::for_version(mask, self.schema));
        let simulation = Simulation::of(&head, &self.events, mask, rules);
        Ok(SimulatedProfile {
            body: simulation.view(&head, class),
            patch: simulation.patch(class),
            revision: head.envelope.revision,
            generation: head.generation,
            class,
        })
    }
}
