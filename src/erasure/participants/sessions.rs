//! The sessions of pages that a citizen has begun. Tokens stay valid: all that they open is gone, and with one of them the
//! citizen gets the receipt again.

use std::sync::Arc;

use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::store::StoreError;

use super::not_forgotten;
use crate::http::request::caller::Sessions;

/// Ends the citizen's sessions.
pub(crate) struct PageSessions(pub(crate) Arc<Sessions>);

impl ErasureParticipant for PageSessions {
    fn name(&self) -> &'static str {
        "the sessions of pages"
    }

    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        let ended = self.0.end_all(erased.user.as_str());
        ended.map_err(|error| not_forgotten("ending the sessions of an erased user", error))
    }
}
