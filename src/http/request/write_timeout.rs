//! The time-out of answers that are not read, as a stream of feed events suspends it: the client may send all of the
//! stream before it reads the first result.

use std::cell::Cell;

use actix_web::HttpRequest;

use crate::http::transport::{self, ConnectionHandle};

/// Suspends the time-out on the request's connection.
pub(crate) fn suspend(request: &HttpRequest) -> WriteTimeoutGuard {
    let connection = transport::connection(request).cloned();
    let number = connection.as_ref().map_or(0, ConnectionHandle::new_suspension);
    let guard = WriteTimeoutGuard { number, connection, is_over: Cell::new(true) };
    guard.renew();
    guard
}

/// A time-out that is suspended. It keeps no connection open.
pub(crate) struct WriteTimeoutGuard {
    number: u64,
    connection: Option<ConnectionHandle>,
    is_over: Cell<bool>,
}

impl WriteTimeoutGuard {
    /// The client has to read from now on, for which it has the usual time.
    pub(crate) async fn end(&self) {
        let Some(connection) = &self.connection else { return };
        tokio::time::sleep(connection.usual_write_timeout()).await;
        self.is_over.set(true);
        connection.resume_write_timeout(self.number);
    }

    /// If the client had to read meanwhile, it need not any more.
    pub(crate) fn renew(&self) {
        if let Some(connection) = self.connection.as_ref().filter(|_| self.is_over.take()) {
            connection.suspend_write_timeout(self.number);
        }
    }
}
