//! The profile as a viewer may see it.

use std::sync::Arc;

use bytes::Bytes;
use domain::day::Day;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::schema_version::SchemaVersion;

use super::encoded_forms::EncodedForms;
use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks for the whole view. [`Profiles::view`](crate::Profiles::view) answers the same from the cache where it can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadView {
    /// The schema version that the view is written in.
    pub(crate) schema: SchemaVersion,
}

/// A profile at one revision, as one mask class sees it.
#[derive(Debug, Clone)]
pub struct View {
    /// The document in canonical JSON.
    pub body: Bytes,
    /// The revision of the document.
    pub revision: u64,
    /// The erasure generation of the user.
    pub generation: u32,
    /// The mask class that sees it.
    pub class: MaskClass,
    /// The calendar day of the values that depend on time.
    pub day: Day,
    /// The document in content codings, as far as somebody has asked for them.
    pub encoded: Arc<EncodedForms>,
    /// Whether the view came from the cache.
    pub cache_hit: bool,
}

impl Reading for ReadView {
    type Answer = View;

    fn answer(&self, input: &ReadInput<'_>) -> Result<View, ReadError> {
        let ReadInput { state, mask, .. } = *input;
        let class = MaskClass::for_version(mask, self.schema);
        Ok(View {
            body: serialize::view(state, class).into(),
            revision: state.envelope.revision,
            generation: state.generation,
            class,
            day: state.day,
            encoded: Arc::default(),
            cache_hit: false,
        })
    }
}
