//! A frame as those read it who follow the journal: whose it is, and what its revision made of the profile.

use super::Past;
use super::change::decode;
use super::codec::DecodeError;
use super::leaf_value::{LeafValue, set_leaves};
use crate::delta::Delta;
use crate::id::{ProfileId, UserId};
use crate::profile::{Envelope, Profile};
use crate::table::Leaf;

/// The step to a new revision.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whose it is.
    pub user: UserId,
    born: Option<ProfileId>,
    envelope: Envelope,
    leaves: Vec<(Leaf, LeafValue)>,
}

/// What a frame is to those who follow.
#[derive(Debug, Clone)]
pub enum Followed {
    /// A step.
    Step(Step),
    /// Registers changed and the profile did not.
    NoRevision,
    /// An older release wrote it without its user: nobody knows whose step it is.
    Nameless,
}

/// Reads a frame's body.
///
/// # Errors
/// The body is not one of ours.
pub fn follow(body: &[u8]) -> Result<Followed, DecodeError> {
    let change = decode(body)?;
    let Some(revised) = change.revised else { return Ok(Followed::NoRevision) };
    let Some(user) = change.user else { return Ok(Followed::Nameless) };
    let born = change.born.map(|(profile_id, ..)| profile_id);
    Ok(Followed::Step(Step { user, born, envelope: revised.envelope, leaves: revised.leaves }))
}

impl Step {
    /// The revision that the step begins at; `None` for the first of a generation, which nothing is before.
    pub fn base(&self) -> Option<u64> {
        match self.born {
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
    pub fn take(&self, before: Option<&Past>) -> Result<(Past, Envelope, Delta), DecodeError> {
        if self.base() != before.map(|past| past.revision) {
            return Err(DecodeError::Unknown { what: "predecessor" });
        }
        let old = before.map_or_else(Profile::default, |past| past.profile.clone());
        let Some(profile_id) = self.born.or(before.map(|past| past.profile_id)) else {
            return Err(DecodeError::Unknown { what: "predecessor" });
        };
        let mut profile = old.clone();
        set_leaves(&mut profile, &self.leaves)?;
        let envelope = Envelope { profile_id, ..self.envelope };
        let (base, revision) = (envelope.revision - 1, envelope.revision);
        let delta = Delta::of(base, revision, &old, &profile);
        Ok((Past { profile_id, revision, profile }, envelope, delta))
    }
}
