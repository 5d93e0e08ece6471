//! Where committed states leave the actors.

use std::sync::Arc;

use domain::delta::Delta;
use domain::erasure::Tombstone;
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::state::UserState;
use domain::table::LeafSet;

/// The projection that commits are passed to, and the leaves that concern it.
pub(crate) struct ProjectionHook {
    interest: LeafSet,
    projection: Arc<dyn Projection>,
}

impl ProjectionHook {
    pub(crate) fn new(projection: Arc<dyn Projection>) -> Self {
        Self { interest: projection.interest(), projection }
    }

    /// Passes a committed state on if its revision changed a leaf that concerns the projection.
    pub(crate) fn committed(&self, row: RowId, state: &UserState, delta: &Delta) {
        let changed = delta.changed().and(self.interest);
        if !changed.is_empty() {
            self.projection.committed(row, state, changed);
        }
    }

    /// Passes an erasure on.
    pub(crate) fn erased(&self, row: RowId, tombstone: &Tombstone) {
        self.projection.erased(row, tombstone);
    }

    /// Passes a stored state on.
    pub(crate) fn loaded(&self, row: RowId, state: &UserState) {
        self.projection.loaded(row, state);
    }
}
