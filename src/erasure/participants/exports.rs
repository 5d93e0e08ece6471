//! The files of exports that hold a row of the user.

use actors::export::Exports;
use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;

use super::not_forgotten;

/// Deletes the files of exports that hold a row of the user.
pub(crate) struct ExportResults(pub(crate) Exports);

impl ErasureParticipant for ExportResults {
    fn name(&self) -> &'static str {
        "the files of exports"
    }

    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        let forgotten = self.0.forget(erased.row);
        forgotten.map_err(|error| not_forgotten("deleting exports with a row of an erased user", error))
    }
}
