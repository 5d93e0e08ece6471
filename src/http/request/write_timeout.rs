//! Suspends the write time-out of a connection for a stream of feed events, whose client may send the whole stream
//! before it reads the first result.

use std::cell::Cell;

use actix_web::HttpRequest;

use crate::http::transport::{self, ConnectionHandle};

/// Suspends the write time-out of the request's connection.
pub(crate) fn suspend(request: &HttpRequest) -> WriteTimeoutGuard {
    let connection = transport::connection(request).cloned();
    let number = connection.as_ref().map_or(0, ConnectionHandle::new_suspension);
    let guard = WriteTimeoutGuard { number, connection, has_ended: Cell::new(true) };
    guard.renew();
    guard
}

/// A suspended write time-out. It does not keep the connection open.
pub(crate) struct WriteTimeoutGuard {
    number: u64,
    connection: Option<ConnectionHandle>,
    has_ended: Cell<bool>,
}

impl WriteTimeoutGuard {
    /// Ends the suspension after the usual write time-out: from then on the client has to read.
    pub(crate) async fn end(&self) {
        let Some(connection) = &self.connection else { return };
        tokio::time::sleep(connection.usual_write_timeout()).await;
        self.has_ended.set(true);
        connection.resume_write_timeout(self.number);
    }

    /// Suspends the time-out again, if the suspension has ended.
    pub(crate) fn renew(&self) {
        if let Some(connection) = self.connection.as_ref().filter(|_| self.has_ended.take()) {
            connection.suspend_write_timeout(self.number);
        }
    }
}
