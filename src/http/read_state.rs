//! State of the handlers that read one profile.

use std::time::Duration;

use actors::Profiles;

/// State of the handlers of a profile and of its completeness.
pub(crate) struct ProfileReadState {
    pub(crate) profiles: Profiles,
    /// The store's epoch, which is part of every ETag.
    pub(crate) epoch: u64,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
}
