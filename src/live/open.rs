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
use super::session::{EXPIRED, End};
use super::sockets::Place;
use crate::http::transport::ConnectionHandle;
use crate::telemetry::metric::{self, Closed};

/// What both sides of a socket hold, the session and the response. A client that does not read keeps the response after
/// the session has ended, and its place with it.
pub(super) struct Open {
    _place: Place,
    connection: Option<ConnectionHandle>,
    closed: Cell<Option<Closed>>,
}

impl Open {
    pub(super) fn new(place: Place, connection: Option<ConnectionHandle>) -> Rc<Self> {
        if let Some(connection) = &connection {
            connection.bound_send_buffer();
        }
        Rc::new(Self { _place: place, connection, closed: Cell::new(None) })
    }

    /// The session is over. The reason is counted once the connection is gone too.
    pub(super) fn end(&self, end: &End, is_stopping: bool) {
        self.closed.set(Some(match end {
            End::Gone => return,
            End::ByClient(_) => Closed::Client,
            End::Close(EXPIRED, _) => Closed::Expired,
            End::Close(CloseCode::Away, _) if is_stopping => Closed::Stopping,
            End::Close(CloseCode::Away, _) => Closed::Silent,
            End::Close(CloseCode::Policy, _) => Closed::Stuck,
            End::Close(..) => Closed::Protocol,
        }));
    }

    /// Why a socket ended that no close frame ended.
    fn broken_off(&self) -> Closed {
        let was_unread = self.connection.as_ref().is_some_and(ConnectionHandle::was_unread);
        if was_unread { Closed::Stuck } else { Closed::Client }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metric::live_closed(self.closed.get().unwrap_or_else(|| self.broken_off())).increment(1);
    }
}

/// What goes out, and a hold on the socket.
pub(super) struct Body {
    outgoing: Outgoing,
    _open: Rc<Open>,
}

impl Body {
    pub(super) fn new(outgoing: Outgoing, open: Rc<Open>) -> Self {
        Self { outgoing, _open: open }
    }
}

impl MessageBody for Body {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Pin::new(&mut self.outgoing).poll_next(context)
    }
}
