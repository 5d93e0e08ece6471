//! State of the handlers that read one profile.

use std::sync::Arc;
use std::time::Duration;

use actors::Profiles;

use super::request::caller::Verifier;

/// State of the handlers of a profile and of its completeness.
pub(crate) struct ProfileReadState {
    pub(crate) profiles: Profiles,
    pub(crate) verifier: Arc<Verifier>,
    /// The store's epoch, which is part of every ETag.
    pub(crate) epoch: u64,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
}
