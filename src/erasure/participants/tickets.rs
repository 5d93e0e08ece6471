//! Tickets that open live sockets.

use std::sync::Arc;

use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;

use crate::http::request::tickets::Tickets;

/// Revokes the citizen's tickets.
pub(crate) struct LiveTickets(pub(crate) Arc<Tickets>);

impl ErasureParticipant for LiveTickets {
    fn name(&self) -> &'static str {
        "the tickets of live sockets"
    }

    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        self.0.revoke_all(erased.user.as_str());
        Ok(())
    }
}
