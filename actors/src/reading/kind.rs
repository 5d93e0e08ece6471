//! What every kind of read has in common.

use domain::access::{Policy, Viewer};
use domain::rules::Rules;
use domain::state::UserState;
use domain::table::LeafSet;

use crate::error::ReadError;

/// A kind of read, with its parameters. [`Profiles::read`](crate::Profiles::read) answers it.
///
/// An answer is a function of its [`ReadInput`] alone. It is made on the asker's thread, so that it takes no time of the
/// user's actor and its shard. If making it panics, the asker gets [`ReadError::Unavailable`], and nothing else happens.
pub trait Reading {
    /// What the asker receives.
    type Answer;

    /// Makes the answer.
    ///
    /// # Errors
    /// The kind says which. [`ReadError::Unknown`] makes the user look unknown to the viewer.
    fn answer(&self, input: &ReadInput<'_>) -> Result<Self::Answer, ReadError>;
}

/// What a read is answered from. It is made only for viewers from whom the user is not hidden.
///
/// Other crates cannot look into it: what they receive of a profile is masked.
#[derive(Debug, Clone, Copy)]
pub struct ReadInput<'a> {
    /// The committed state.
    pub(crate) state: &'a UserState,
    /// The leaves that the viewer may see.
    pub(crate) mask: LeafSet,
    pub(crate) rules: &'a Rules,
    /// The access table from which the mask was made.
    pub(crate) policy: &'a Policy,
    pub(crate) viewer: &'a Viewer,
}
