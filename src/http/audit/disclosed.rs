//! What an answer discloses of a user's profile.

use domain::table::LeafSet;

/// What an answer discloses of a user's profile, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disclosed {
    /// The leaves that the caller may see in it.
    pub(crate) leaves: LeafSet,
    /// The erasure generation of the user; `None` where it is not known.
    pub(crate) generation: Option<u32>,
}

impl Disclosed {
    /// Nothing of a profile, or nothing that is known.
    pub(crate) const NOTHING: Self = Self { leaves: LeafSet::EMPTY, generation: None };

    /// Returns these leaves of a user in an erasure generation.
    pub(crate) const fn new(leaves: LeafSet, generation: u32) -> Self {
        Self { leaves, generation: Some(generation) }
    }

    /// Returns what this answer and a later one disclose together.
    #[must_use]
    pub(crate) fn and_later(self, later: Self) -> Self {
        Self { leaves: self.leaves.or(later.leaves), generation: later.generation.or(self.generation) }
    }
}
