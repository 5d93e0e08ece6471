//! What distinguishes the patches that a user's subscribers receive.

use domain::delta::Delta;
use domain::mask_class::MaskClass;
use domain::pipeline::mask::{self, SourcedOperation};
use domain::state::UserState;
use json_patch::Patch;

/// All subscribers that receive the same patches: those of a mask class, with or without the sources of values.
///
/// Documents and cursors are those of the mask class. The sources are in the patches alone, so subscribers with and without them
/// share everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutletClass {
    pub(super) mask: MaskClass,
    /// Whether operations name the source of the value that they lead to.
    pub(super) names_sources: bool,
}

/// The operations of a patch to one class.
pub(super) enum ClassOperations {
    Plain(Patch),
    Sourced(Vec<SourcedOperation>),
}

impl OutletClass {
    /// Returns what the class sees of a change that leads to `state`.
    pub(super) fn operations(self, delta: &Delta, state: &UserState) -> ClassOperations {
        match self.names_sources {
            false => ClassOperations::Plain(mask::patch(delta, self.mask)),
            true => ClassOperations::Sourced(mask::patch_with_sources(delta, self.mask, state)),
        }
    }
}

impl ClassOperations {
    /// The operations of a change in which the class sees nothing.
    pub(super) const NONE: Self = Self::Sourced(Vec::new());

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Plain(patch) => patch.is_empty(),
            Self::Sourced(operations) => operations.is_empty(),
        }
    }

    /// Returns the operations as a JSON list.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let text = match self {
            Self::Plain(patch) => serde_json::to_vec(patch),
            Self::Sourced(operations) => serde_json::to_vec(operations),
        };
        // Operations are JSON values already: writing them cannot fail.
        text.unwrap_or_default()
    }
}
