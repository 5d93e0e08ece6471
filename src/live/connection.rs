//! An open socket: counted, and held to its caller's account, for as long as its connection is there.

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

/// What both sides of a socket hold, the session and the response. A client that does not read keeps the response after
/// the session has ended, and its slot with it.
pub(super) struct LiveConnection {
    _slot: SocketSlot,
    connection: Option<ConnectionHandle>,
    closed: Cell<Option<LiveEndReason>>,
}

impl LiveConnection {
    pub(super) fn new(slot: SocketSlot, connection: Option<ConnectionHandle>) -> Rc<Self> {
        if let Some(connection) = &connection {
            connection.bound_send_buffer();
        }
        Rc::new(Self { _slot: slot, connection, closed: Cell::new(None) })
    }

    /// The session is over. The reason is counted once the connection is gone too.
    pub(super) fn end(&self, end: &SessionEnd, is_stopping: bool) {
        self.closed.set(Some(match end {
            SessionEnd::Gone => return,
            SessionEnd::ByClient(_) => LiveEndReason::Client,
            SessionEnd::Close(EXPIRED, _) => LiveEndReason::Expired,
            SessionEnd::Close(CloseCode::Away, _) if is_stopping => LiveEndReason::Stopping,
            SessionEnd::Close(CloseCode::Away, _) => LiveEndReason::Silent,
            SessionEnd::Close(CloseCode::Policy, _) => LiveEndReason::Stuck,
            SessionEnd::Close(..) => LiveEndReason::Protocol,
        }));
    }

    /// Why a socket ended that no close frame ended.
    fn broken_off(&self) -> LiveEndReason {
        let write_timed_out = self.connection.as_ref().is_some_and(ConnectionHandle::write_timed_out);
        if write_timed_out { LiveEndReason::Stuck } else { LiveEndReason::Client }
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        metric::live_closed(self.closed.get().unwrap_or_else(|| self.broken_off())).increment(1);
    }
}

/// What goes out, and a hold on the socket.
pub(super) struct LiveBody {
    outgoing: Outgoing,
    _open: Rc<LiveConnection>,
}

impl LiveBody {
    pub(super) fn new(outgoing: Outgoing, open: Rc<LiveConnection>) -> Self {
        Self { outgoing, _open: open }
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
