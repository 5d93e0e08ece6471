//! How complete a profile is.

use domain::completeness::{self, MissingField};
use domain::table::{Leaf, LeafSet, Member};

use super::kind::{ReadInput, Reading};
use crate::error::ReadError;

/// Asks how complete a profile is. For viewers who do not see `profile_completeness_pct`, the user is unknown.
#[derive(Debug, Clone, Copy)]
pub struct ReadCompleteness;

/// The completeness of a profile, as far as the viewer may see it.
#[derive(Debug, Clone)]
pub struct Completeness {
    /// The revision that was measured.
    pub revision: u64,
    /// The value of `profile_completeness_pct`.
    pub pct: u8,
    /// The percentage of each section, over the leaves that the viewer may see.
    pub sections: Vec<(Member, u8)>,
    /// The fields that are missing among those that the viewer may see, the most valuable first.
    pub missing: Vec<MissingField>,
    /// The leaves that the viewer may see, and that the answer is about.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

impl Reading for ReadCompleteness {
    type Answer = Completeness;

    fn answer(&self, input: &ReadInput<'_>) -> Result<Completeness, ReadError> {
        let ReadInput { state, mask, rules, .. } = *input;
        let profile = &state.profile;
        let shown = mask.has(Leaf::ProfileCompletenessPct).then(|| profile.get(Leaf::ProfileCompletenessPct)).flatten();
        let pct = shown.and_then(|pct| pct.as_str().parse().ok()).ok_or(ReadError::Unknown)?;
        let present = profile.present();
        let value = |leaf| profile.get(leaf).cloned();
        Ok(Completeness {
            revision: state.envelope.revision,
            pct,
            sections: completeness::section_pcts(present, &value, rules, mask).collect(),
            missing: completeness::missing_fields(present, &value, rules, mask),
            leaves: mask,
            generation: state.generation,
        })
    }
}
