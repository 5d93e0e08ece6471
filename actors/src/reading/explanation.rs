//! Why a leaf has its value.

use domain::pipeline::explain::{self, Explanation};
use domain::table::{Leaf, LeafSet};

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks why a leaf has its value.
#[derive(Debug, Clone, Copy)]
pub struct ReadExplanation {
    /// The leaf; `None` for a name that no leaf has, which is answered as one that the profile does not have.
    pub leaf: Option<Leaf>,
}

/// Why a leaf of a profile has its value.
#[derive(Debug, Clone)]
pub struct ExplainedLeaf {
    /// The explanation; `None` if the viewer does not see the leaf, the profile does not have it, or there is no such leaf.
    pub explanation: Option<Explanation>,
    /// The revision that is explained.
    pub revision: u64,
    /// The leaves that the answer is about.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Reading for ReadExplanation {
    type Answer = ExplainedLeaf;

    fn answer(&self, input: &ReadInput<'_>) -> Result<ExplainedLeaf, ReadError> {
        let ReadInput { state, mask, .. } = *input;
        let seen = self.leaf.filter(|leaf| mask.has(*leaf));
        let explanation = seen.and_then(|leaf| explain::explain(state, leaf));
        Ok(ExplainedLeaf {
            leaves: explanation.iter().map(|explanation| explanation.leaf).collect(),
            explanation,
            revision: state.envelope.revision,
            generation: state.generation,
        })
    }
}
