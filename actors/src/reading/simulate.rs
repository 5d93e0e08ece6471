//! What-if: the profile that would result from hypothetical events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::access::Viewer;
use domain::event::FeedEvent;
use domain::mask_class::MaskClass;
use domain::pipeline::simulate::Simulation;
use domain::schema_version::SchemaVersion;
use json_patch::Patch;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// The time that events may take. Whoever asks waits for it on a thread that serves others, too.
const MAX_TIME: Duration = Duration::from_millis(100);

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
        let ReadInput { state, mask, rules, viewer, .. } = *input;
        // Those for whom `explain` is.
        let explains = matches!(viewer, Viewer::SelfCitizen(_) | Viewer::Admin { .. });
        let (head, class) = (Arc::new(state.clone()), MaskClass::for_version(mask, self.schema));
        let begun = Instant::now();
        let mut is_late = false;
        let in_time = |_: &&FeedEvent| {
            is_late = begun.elapsed() > MAX_TIME;
            !is_late
        };
        let simulation = Simulation::of(&head, self.events.iter().take_while(in_time), (mask, explains), rules);
        if is_late {
            return Err(ReadError::TooLong);
        }
        Ok(SimulatedProfile {
            body: simulation.view(&head, class),
            patch: simulation.patch(class),
            revision: head.envelope.revision,
            generation: head.generation,
            class,
        })
    }
}
