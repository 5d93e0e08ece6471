//! How long the client of a connection may take.

use std::time::Duration;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For a request line and headers.
    pub(crate) header: Duration,
    /// For the next request.
    pub(crate) keep_alive: Duration,
    /// For reading some of an answer.
    pub(crate) write: Duration,
}

impl Timeouts {
    /// Those of `settings`.
    pub(crate) fn new(settings: &config::Http) -> Self {
        Self { header: settings.client_header_timeout, keep_alive: settings.keep_alive, write: settings.unread_timeout }
    }
}
