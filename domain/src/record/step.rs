//! A frame as followers of the journal read it: the user, and what the revision changed in the profile.

use super::change::{Revised, decode};
use super::codec::DecodeError;
use super::leaf_value::{LeafValue, set_leaves};
use crate::delta::Delta;
use crate::id::{ProfileId, UserId};
use crate::integrity::{LazyTree, Salts};
use crate::past::PastProfile;
use crate::port::journal::Record;
use crate::profile::{Envelope, Profile};
use crate::snapshot::{RequestedSnapshot, SnapshotMark};
use crate::table::{Leaf, Member, MemberSet};

/// The step to a new revision.
#[derive(Debug, Clone)]
pub struct RevisionStep {
    /// The user whose frame it is.
    pub user: UserId,
    new_profile: Option<(ProfileId, [u8; 16])>,
    envelope: Envelope,
    salt_count: u32,
    leaves: Vec<(Leaf, LeafValue)>,
}

/// The meaning of a frame to a follower.
#[derive(Debug, Clone)]
pub enum FrameStep {
    /// A frame that made a new revision.
    Revision(RevisionStep),
    /// A snapshot was taken of the revision that the user has.
    Snapshot(RequestedSnapshot),
    /// Registers changed and the profile did not, or a snapshot was removed.
    NoRevision,
}

/// Reads a frame.
///
/// # Errors
/// The record is not a change of this format.
pub fn follow(record: &Record) -> Result<FrameStep, DecodeError> {
    let change = decode(record.into())?;
    if let Some(SnapshotMark::Taken(snapshot)) = change.snapshot {
        return Ok(FrameStep::Snapshot(snapshot));
    }
    let Some(revised) = change.revised else { return Ok(FrameStep::NoRevision) };
    let user = record.user;
    let new_profile = change.new_generation.map(|start| (start.profile_id, start.integrity_key));
    let Revised { envelope, salt_count, leaves } = revised;
    Ok(FrameStep::Revision(RevisionStep { user, new_profile, envelope, salt_count, leaves }))
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
        let first_revision = self.envelope.revision;
        let empty = |(profile_id, key)| PastProfile {
            profile_id,
            revision: 0,
            generated_at: 0,
            profile: Profile::default(),
            salts: Salts { key, count: 0, first_revision, changed_at: [0; Member::COUNT] },
            tree: LazyTree::default(),
        };
        let before = before.cloned().or_else(|| self.new_profile.map(empty));
        let before = before.ok_or(DecodeError::Unknown { what: "predecessor" })?;
        let envelope = Envelope { profile_id: before.profile_id, ..self.envelope };
        let (base, revision) = (envelope.revision - 1, envelope.revision);
        let mut after = PastProfile { revision, generated_at: envelope.generated_at, ..before.clone() };
        set_leaves(&mut after.profile, &self.leaves)?;
        let changed: MemberSet = self.leaves.iter().map(|(leaf, _)| leaf.field().member).collect();
        for member in changed.iter() {
            after.salts.changed_at[member as usize] = revision;
        }
        let resalted = self.salt_count != before.salts.count;
        after.salts.count = self.salt_count;
        after.tree = if resalted { LazyTree::default() } else { before.tree.after(changed) };
        let delta = Delta::new(base, revision, &before.profile, &after.profile);
        Ok((after, envelope, delta))
    }
}
