//! The state of a connection, which its dispatcher, requests and answers share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_user_timeout};
use tokio::time::Instant;

use super::read_control::ReadControl;
use super::worker::Worker;

/// Size of the system's send buffer for the client of a stream, in bytes. The default may reach megabytes, but bytes in
/// the buffer can no longer be merged with later changes or held back, and only a full buffer reveals that a client does
/// not read.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// A handle of a connection for requests and answers. It does not keep the connection open, which only
/// [`super::connection::Connection`] does.
#[derive(Clone)]
pub(crate) struct ConnectionHandle(pub(super) Rc<ConnectionState>);

/// The shared state of one connection.
pub(super) struct ConnectionState {
    /// `None` once the connection is closed.
    pub(super) stream: RefCell<Option<TcpStream>>,
    pub(super) worker: Rc<Worker>,
    /// What the connection is doing.
    pub(super) phase: Cell<Phase>,
    /// How long the client may leave an answer unread; `None` while the time-out is suspended.
    pub(super) write_timeout: Cell<Option<Duration>>,
    /// Number of suspensions of the time-out so far.
    pub(super) suspensions: Cell<u64>,
    /// Whether the connection was closed because its client did not read.
    pub(super) write_timed_out: Cell<bool>,
    /// Whether the newest request was answered before its body was received completely. The dispatcher then ends the
    /// connection.
    pub(super) is_body_unfinished: Cell<bool>,
    /// Whether the body of the newest request was malformed, which its handler has answered.
    pub(super) body_failed: Cell<bool>,
    /// Whether the current answer is a stream that ends when the client closes the connection.
    pub(super) ends_with_client: Cell<bool>,
    /// Number of bytes received during the current stream.
    pub(super) received_during_stream: Cell<usize>,
    pub(super) reading: ReadControl,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Accepted at this time, and nothing was received yet.
    Fresh(Instant),
    /// Receiving the head of a request since this time.
    Head(Instant),
    /// Answering a request.
    Busy,
    /// Waiting for the next request since this time.
    Idle(Instant),
}

impl ConnectionHandle {
    /// Returns the handle of a new connection, with the usual write time-out.
    pub(super) fn new(stream: TcpStream, worker: Rc<Worker>) -> Self {
        let write_timeout = worker.timeouts.write;
        let handle = Self(Rc::new(ConnectionState {
            stream: RefCell::new(Some(stream)),
            worker,
            phase: Cell::new(Phase::Fresh(Instant::now())),
            write_timeout: Cell::new(None),
            suspensions: Cell::new(0),
            write_timed_out: Cell::new(false),
            is_body_unfinished: Cell::new(false),
            body_failed: Cell::new(false),
            ends_with_client: Cell::new(false),
            received_during_stream: Cell::new(0),
            reading: ReadControl::default(),
        }));
        handle.set_write_timeout(Some(write_timeout));
        handle
    }

    /// Returns the address of the listener that accepted the connection.
    pub(super) fn listen_address(&self) -> SocketAddr {
        self.0.worker.listen
    }

    /// Bounds the system's send buffer of the connection.
    pub(crate) fn bound_send_buffer(&self) {
        let bounded =
            self.0.stream.borrow().as_ref().map(|stream| set_socket_send_buffer_size(stream, SEND_BUFFER_BYTES));
        if let Some(Err(error)) = bounded {
            tracing::debug!(%error, "the send buffer of a connection could not be bounded");
        }
    }

    /// Ends the connection as soon as the client closes it or its sending half, since a client that receives a stream
    /// has nothing more to send. Applies to the current answer.
    pub(super) fn end_with_client(&self) {
        self.0.ends_with_client.set(true);
        self.0.reading.resume();
    }

    /// Returns the write time-out that applies when it is not suspended.
    pub(crate) fn usual_write_timeout(&self) -> Duration {
        self.0.worker.timeouts.write
    }

    /// Returns the number of a new suspension of the write time-out, which [`Self::suspend_write_timeout`] begins. A
    /// later suspension replaces an earlier one.
    pub(crate) fn new_suspension(&self) -> u64 {
        self.0.suspensions.set(self.0.suspensions.get() + 1);
        self.0.suspensions.get()
    }

    /// Suspends the write time-out, unless there is a later suspension.
    pub(crate) fn suspend_write_timeout(&self, suspension: u64) {
        if self.0.suspensions.get() == suspension {
            self.set_write_timeout(None);
        }
    }

    /// Ends a suspension, unless there is a later one.
    pub(crate) fn resume_write_timeout(&self, suspension: u64) {
        if self.0.suspensions.get() == suspension {
            self.set_write_timeout(Some(self.usual_write_timeout()));
        }
    }

    /// Sets the write time-out: in the kernel for bytes in its buffer (`TCP_USER_TIMEOUT`, RFC 5482, which on Linux
    /// also covers a receive window that stays full), and in `write_timeout` for bytes that the buffer has no room for.
    fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.0.write_timeout.set(timeout);
        let milliseconds = u32::try_from(timeout.unwrap_or_default().as_millis()).unwrap_or(u32::MAX);
        let set = self.0.stream.borrow().as_ref().map(|stream| set_tcp_user_timeout(stream, milliseconds));
        if let Some(Err(error)) = set {
            tracing::debug!(%error, "the kernel's write time-out of a connection could not be set");
        }
    }

    /// Whether the connection was closed because its client did not read.
    pub(crate) fn write_timed_out(&self) -> bool {
        self.0.write_timed_out.get()
    }
}

impl ConnectionState {
    /// Notes that a request begins to be answered.
    pub(super) fn begin_exchange(&self) {
        self.phase.set(Phase::Busy);
        self.body_failed.set(false);
        self.received_during_stream.set(0);
        self.reading.want_no_body();
    }

    /// Notes that the dispatcher has the whole answer, or that there will be none.
    pub(super) fn end_exchange(&self) {
        self.phase.set(Phase::Idle(Instant::now()));
        self.ends_with_client.set(false);
    }

    /// Returns the time until which the client must send; `None` while the server has to answer.
    pub(super) fn read_deadline(&self) -> Option<Instant> {
        let timeouts = &self.worker.timeouts;
        match self.phase.get() {
            Phase::Fresh(since) | Phase::Head(since) => Some(since + timeouts.header),
            Phase::Idle(since) => Some(since + timeouts.keep_alive),
            Phase::Busy => None,
        }
    }
}
