//! A frame as followers of the journal read it: the user, and what the revision changed in the profile.

use super::change::decode;
use super::codec::DecodeError;
use super::leaf_value::{LeafValue, set_leaves};
use crate::delta::Delta;
use crate::id::{ProfileId, UserId};
use crate::past::PastProfile;
use crate::port::journal::Record;
use crate::profile::{Envelope, Profile};
use crate::table::Leaf;

/// The step to a new revision.
#[derive(Debug, Clone)]
pub struct RevisionStep {
    /// The user whose frame it is.
    pub user: UserId,
    new_profile: Option<ProfileId>,
    envelope: Envelope,
    leaves: Vec<(Leaf, LeafValue)>,
}

/// The meaning of a frame to a follower.
#[derive(Debug, Clone)]
pub enum FrameStep {
    /// A frame that made a new revision.
    Revision(RevisionStep),
    /// Registers changed and the profile did not.
    NoRevision,
}

/// Reads a frame.
///
/// # Errors
/// The record is not a change of this format.
pub fn follow(record: &Record) -> Result<FrameStep, DecodeError> {
    let change = decode(record)?;
    let Some(revised) = change.revised else { return Ok(FrameStep::NoRevision) };
    let user = record.user;
    let new_profile = change.new_generation.map(|(profile_id, ..)| profile_id);
    Ok(FrameStep::Revision(RevisionStep { user, new_profile, envelope: revised.envelope, leaves: revised.leaves }))
}

impl RevisionStep {
    /// Returns the revision before the step; `None` for the first revision of a generation.
    pub fn base(&self) -> Option<u64> {
        match self.new_profile {
            Some(_) => None,
            None => Some(self.envelope.revision - 1),
        }
    }

    /// Returns the revision that the step leads to.
    pub fn revision(&self) -> u64 {
        self.envelope.revision
    }

    /// Applies the step, and returns the profile after it, its envelope, and the change.
    ///
    /// # Errors
    /// `before` is not the profile at [`Self::base`].
    pub fn take(&self, before: Option<&PastProfile>) -> Result<(PastProfile, Envelope, Delta), DecodeError> {
        if self.base() != before.map(|past| past.revision) {
            return Err(DecodeError::Unknown { what: "predecessor" });
        }
        let old = before.map_or_else(Profile::default, |past| past.profile.clone());
        let Some(profile_id) = self.new_profile.or(before.map(|past| past.profile_id)) else {
            return Err(DecodeError::Unknown { what: "predecessor" });
        };
        let mut profile = old.clone();
        set_leaves(&mut profile, &self.leaves)?;
        let envelope = Envelope { profile_id, ..self.envelope };
        let (base, revision) = (envelope.revision - 1, envelope.revision);
        let delta = Delta::new(base, revision, &old, &profile);
        Ok((PastProfile { profile_id, revision, profile }, envelope, delta))
    }
}
