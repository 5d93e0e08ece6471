//! The time-outs of a connection.

use std::time::Duration;

/// How long a client may take for each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// To send a request line and headers.
    pub(crate) header: Duration,
    /// To begin the next request.
    pub(crate) keep_alive: Duration,
    /// To read some of an answer.
    pub(crate) write: Duration,
}

impl Timeouts {
    /// Returns the time-outs of `settings`.
    pub(crate) fn new(settings: &config::Http) -> Self {
        Self { header: settings.client_header_timeout, keep_alive: settings.keep_alive, write: settings.unread_timeout }
    }
}
