//! A frame as those read it who follow the journal: whose it is, and what its revision made of the profile.

use super::change::decode;
use super::codec::DecodeError;
use super::leaf_value::{LeafValue, set_leaves};
use crate::delta::Delta;
use crate::id::{ProfileId, UserId};
use crate::past::PastProfile;
use crate::profile::{Envelope, Profile};
use crate::table::Leaf;

/// The step to a new revision.
#[derive(Debug, Clone)]
pub struct RevisionStep {
    /// Whose it is.
    pub user: UserId,
    new_profile: Option<ProfileId>,
    envelope: Envelope,
    leaves: Vec<(Leaf, LeafValue)>,
}

/// What a frame is to those who follow.
#[derive(Debug, Clone)]
pub enum FrameStep {
    /// A step.
    Revision(RevisionStep),
    /// Registers changed and the profile did not.
    NoRevision,
    /// An older release wrote it without its user: nobody knows whose step it is.
    UnknownUser,
}

/// Reads a frame's body.
///
/// # Errors
/// The body is not one of ours.
pub fn follow(body: &[u8]) -> Result<FrameStep, DecodeError> {
    let change = decode(body)?;
    let Some(revised) = change.revised else { return Ok(FrameStep::NoRevision) };
    let Some(user) = change.user else { return Ok(FrameStep::UnknownUser) };
    let new_profile = change.new_generation.map(|(profile_id, ..)| profile_id);
    Ok(FrameStep::Revision(RevisionStep { user, new_profile, envelope: revised.envelope, leaves: revised.leaves }))
}

impl RevisionStep {
    /// The revision that the step begins at; `None` for the first of a generation, which nothing is before.
    pub fn base(&self) -> Option<u64> {
        match self.new_profile {
            Some(_) => None,
            None => Some(self.envelope.revision - 1),
        }
    }

    /// The revision that the step leads to.
    pub fn revision(&self) -> u64 {
        self.envelope.revision
    }

    /// Takes the step: the profile after it, its envelope, and the change.
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
