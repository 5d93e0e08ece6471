//! The plain-language summary of a profile.

use domain::summary::{SummaryFacts, SummaryLanguage};
use domain::table::LeafSet;

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks for the summary in a language.
#[derive(Debug, Clone, Copy)]
pub struct ReadSummary {
    /// The language.
    pub language: SummaryLanguage,
}

/// The summary of a profile, from what the viewer may see.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// The revision that it is based on.
    pub revision: u64,
    /// When that revision was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// The leaves that the text may tell something of.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Reading for ReadSummary {
    type Answer = Summary;

    fn answer(&self, input: &ReadInput<'_>) -> Result<Summary, ReadError> {
        let ReadInput { state, mask, .. } = *input;
        Ok(Summary {
            text: SummaryFacts::of(&state.profile, mask).text(self.language),
            revision: state.envelope.revision,
            generated_at: state.envelope.generated_at,
            leaves: SummaryFacts::LEAVES.into_iter().collect::<LeafSet>().and(mask),
            generation: state.generation,
        })
    }
}
