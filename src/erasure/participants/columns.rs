//! The saved columns: one file for all users under one key. The rows in memory have forgotten the user when the tombstone
//! became durable.

use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;
use store::ProjectionResealer;

/// Replaces the key of the saved columns, and saves them anew.
pub(crate) struct SavedColumns(pub(crate) ProjectionResealer);

impl ErasureParticipant for SavedColumns {
    fn name(&self) -> &'static str {
        "the saved columns"
    }

    fn forget(&self, _: &ErasedUser) -> Result<(), StoreError> {
        self.0.reseal()
    }
}
