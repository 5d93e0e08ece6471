//! What a connection's dispatcher, its requests and its answers share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_user_timeout};
use tokio::time::Instant;

use super::read_control::ReadControl;
use super::worker::Worker;

/// What the system may hold for the client of a stream, in bytes. The system itself would go to megabytes; but what
/// waits there cannot be merged any more, and a client that does not read shows only when the buffer is full.
const SEND_BUFFER: usize = 256 * 1024;

/// A connection, as requests and answers see it. It keeps no descriptor open: [`super::connection::Connection`] alone
/// does that.
#[derive(Clone)]
pub(crate) struct ConnectionHandle(pub(super) Rc<ConnectionState>);

/// The shared state of one connection.
pub(super) struct ConnectionState {
    /// `None` once the connection is closed.
    pub(super) stream: RefCell<Option<TcpStream>>,
    pub(super) worker: Rc<Worker>,
    pub(super) phase: Cell<Phase>,
    /// How long the client may leave an answer unread; `None` while the time-out is suspended.
    pub(super) write_timeout: Cell<Option<Duration>>,
    /// How often the time-out was suspended.
    pub(super) suspensions: Cell<u64>,
    /// Whether the connection was closed because its client did not read.
    pub(super) write_timed_out: Cell<bool>,
    /// The newest request was answered before its body had come to its end; the dispatcher ends the connection then.
    pub(super) is_body_unfinished: Cell<bool>,
    /// The body of the newest request was not framed as HTTP wants it, and its handler has answered that.
    pub(super) body_failed: Cell<bool>,
    /// The answer at hand is a stream that ends when the client closes the connection.
    pub(super) ends_with_client: Cell<bool>,
    /// How many bytes have come while the client follows the stream at hand.
    pub(super) beside_stream: Cell<usize>,
    pub(super) reading: ReadControl,
}

/// What a connection is at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Accepted at that time; nothing came yet.
    Fresh(Instant),
    /// A request's head is coming since then.
    Head(Instant),
    /// A request is being answered.
    Busy,
    /// The newest request was answered then.
    Idle(Instant),
}

impl ConnectionHandle {
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
            beside_stream: Cell::new(0),
            reading: ReadControl::default(),
        }));
        handle.set_write_timeout(Some(write_timeout));
        handle
    }

    pub(super) fn listen_address(&self) -> SocketAddr {
        self.0.worker.listen
    }

    /// Bounds what the system holds for the client.
    pub(crate) fn bound_send_buffer(&self) {
        let bounded = self.0.stream.borrow().as_ref().map(|stream| set_socket_send_buffer_size(stream, SEND_BUFFER));
        if let Some(Err(error)) = bounded {
            tracing::debug!(%error, "the send buffer of a connection could not be bounded");
        }
    }

    /// Ends the connection as soon as its client closes it, even if only its sending half: a client that follows a
    /// stream has nothing more to send. Holds for the answer at hand.
    pub(super) fn end_with_client(&self) {
        self.0.ends_with_client.set(true);
        self.0.reading.go_on();
    }

    /// How long the client may leave answers unread while that is not suspended.
    pub(crate) fn usual_write_timeout(&self) -> Duration {
        self.0.worker.timeouts.write
    }

    /// The number of a new suspension of the time-out, which [`Self::suspend_write_timeout`] begins. A later suspension
    /// takes the place of an earlier one.
    pub(crate) fn new_suspension(&self) -> u64 {
        self.0.suspensions.set(self.0.suspensions.get() + 1);
        self.0.suspensions.get()
    }

    /// Suspends the time-out of what the client does not read, unless a later suspension decides.
    pub(crate) fn suspend_write_timeout(&self, suspension: u64) {
        if self.0.suspensions.get() == suspension {
            self.set_write_timeout(None);
        }
    }

    /// Ends a suspension, unless a later one decides.
    pub(crate) fn resume_write_timeout(&self, suspension: u64) {
        if self.0.suspensions.get() == suspension {
            self.set_write_timeout(Some(self.usual_write_timeout()));
        }
    }

    /// The kernel holds the time-out for what it has taken (`TCP_USER_TIMEOUT`, RFC 5482, which on Linux counts a window
    /// that stays full too), and `write_timeout` for what it has not.
    fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.0.write_timeout.set(timeout);
        let milliseconds = u32::try_from(timeout.unwrap_or_default().as_millis()).unwrap_or(u32::MAX);
        let set = self.0.stream.borrow().as_ref().map(|stream| set_tcp_user_timeout(stream, milliseconds));
        if let Some(Err(error)) = set {
            tracing::debug!(%error, "the kernel's time-out for what is not read could not be set");
        }
    }

    /// Whether the connection was closed because its client did not read.
    pub(crate) fn write_timed_out(&self) -> bool {
        self.0.write_timed_out.get()
    }
}

impl ConnectionState {
    /// A request begins to be answered.
    pub(super) fn begin_exchange(&self) {
        self.phase.set(Phase::Busy);
        self.body_failed.set(false);
        self.beside_stream.set(0);
        self.reading.want_no_body();
    }

    /// The answer was handed over whole, or will not come.
    pub(super) fn end_exchange(&self) {
        self.phase.set(Phase::Idle(Instant::now()));
        self.ends_with_client.set(false);
    }

    /// When the client's time is over, if it is the client who has to send.
    pub(super) fn read_deadline(&self) -> Option<Instant> {
        let timeouts = &self.worker.timeouts;
        match self.phase.get() {
            Phase::Fresh(since) | Phase::Head(since) => Some(since + timeouts.header),
            Phase::Idle(since) => Some(since + timeouts.keep_alive),
            Phase::Busy => None,
        }
    }
}
