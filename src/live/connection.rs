//! An open socket, which is counted and occupies its caller's slot until its connection is gone.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::ws::CloseCode;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::outgoing::Outgoing;
use super::session::{EXPIRED, SessionEnd};
use super::sockets::SocketSlot;
use crate::http::transport::ConnectionHandle;
use crate::telemetry::metric::{self, LiveEndReason};

/// What the session and the response of a socket share. If the client does not read, the response outlives the session,
/// and the slot stays occupied.
pub(super) struct LiveConnection {
    _slot: SocketSlot,
    connection: Option<ConnectionHandle>,
    end_reason: Cell<Option<LiveEndReason>>,
}

impl LiveConnection {
    /// Returns the shared part of a socket on `connection`.
    pub(super) fn new(slot: SocketSlot, connection: Option<ConnectionHandle>) -> Rc<Self> {
        if let Some(connection) = &connection {
            connection.bound_send_buffer();
        }
        Rc::new(Self { _slot: slot, connection, end_reason: Cell::new(None) })
    }

    /// Notes why the session has ended. The reason is counted once the connection is gone too.
    pub(super) fn end(&self, end: &SessionEnd, is_stopping: bool) {
        self.end_reason.set(Some(match end {
            SessionEnd::Gone => return,
            SessionEnd::ByClient(_) => LiveEndReason::Client,
            SessionEnd::Close(EXPIRED, _) => LiveEndReason::Expired,
            SessionEnd::Close(CloseCode::Away, _) if is_stopping => LiveEndReason::Stopping,
            SessionEnd::Close(CloseCode::Away, _) => LiveEndReason::Silent,
            SessionEnd::Close(CloseCode::Policy, _) => LiveEndReason::Stuck,
            SessionEnd::Close(..) => LiveEndReason::Protocol,
        }));
    }

    /// Returns why a socket has ended without a close frame.
    fn abrupt_end_reason(&self) -> LiveEndReason {
        let write_timed_out = self.connection.as_ref().is_some_and(ConnectionHandle::write_timed_out);
        if write_timed_out { LiveEndReason::Stuck } else { LiveEndReason::Client }
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        metric::live_closed(self.end_reason.get().unwrap_or_else(|| self.abrupt_end_reason())).increment(1);
    }
}

/// The body of a socket's response, which keeps the socket counted.
pub(super) struct LiveBody {
    outgoing: Outgoing,
    _connection: Rc<LiveConnection>,
}

impl LiveBody {
    /// Returns the body that sends `outgoing`.
    pub(super) fn new(outgoing: Outgoing, connection: Rc<LiveConnection>) -> Self {
        Self { outgoing, _connection: connection }
    }
}

impl MessageBody for LiveBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Pin::new(&mut self.outgoing).poll_next(context)
    }
}
