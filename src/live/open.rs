//! An open socket: counted, and held to its caller's account, for as long as its connection is there.

use std::cell::Cell;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_http::ws::CloseCode;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{Shutdown, shutdown};
use tokio::time::interval;

use super::outgoing::Outgoing;
use super::session::{EXPIRED, End};
use super::sockets::Place;
use crate::telemetry::metric::{self, Closed};

/// What the system may hold for a client, in bytes. The system itself would go to megabytes; but what waits there can
/// not be merged any more, and a client that does not read shows only when it is full.
const SEND_BUFFER: usize = 256 * 1024;
/// How often is looked, in the time that a client may take.
const LOOKS: u32 = 4;

/// What both sides of a socket hold, the session and the response. A client that does not read keeps the response after
/// the session has ended, and its place with it.
pub(super) struct Open {
    _place: Place,
    socket: Option<OwnedFd>,
    /// Since when the connection takes nothing; `None` while nothing waits to be taken.
    unread_since: Cell<Option<Instant>>,
    unread_timeout: Duration,
    closed: Cell<Option<Closed>>,
}

impl Open {
    /// `socket` is another name of the connection's, if there is one.
    pub(super) fn new(place: Place, socket: Option<OwnedFd>, unread_timeout: Duration) -> Rc<Self> {
        if let Some(Err(error)) = socket.as_ref().map(|socket| set_socket_send_buffer_size(socket, SEND_BUFFER)) {
            tracing::debug!(%error, "the send buffer of a socket could not be bounded");
        }
        let (unread_since, closed) = (Cell::new(None), Cell::new(None));
        Rc::new(Self { _place: place, socket, unread_since, unread_timeout, closed })
    }

    /// Cuts the connection off once its client has read nothing for too long, be the session over or not. The kernel's
    /// own limit does not hold a client that goes on sending: with whatever arrives it begins anew.
    pub(super) async fn cut_when_stuck(open: Weak<Self>, unread_timeout: Duration) {
        let mut tick = interval(unread_timeout / LOOKS);
        loop {
            tick.tick().await;
            let Some(open) = open.upgrade() else { return };
            if let (true, Some(socket)) = (open.is_stuck(), &open.socket) {
                // One that is gone already needs no cut.
                let _ = shutdown(socket, Shutdown::Both);
                return;
            }
        }
    }

    /// The session is over. The reason is counted once the connection is gone too.
    pub(super) fn end(&self, end: &End, is_stopping: bool) {
        self.closed.set(Some(match end {
            End::Gone => return,
            End::Close(EXPIRED, _) => Closed::Expired,
            End::Close(CloseCode::Normal, _) => Closed::Client,
            End::Close(CloseCode::Away, _) if is_stopping => Closed::Stopping,
            End::Close(CloseCode::Away, _) => Closed::Silent,
            End::Close(CloseCode::Policy, _) => Closed::Stuck,
            End::Close(..) => Closed::Protocol,
        }));
    }

    /// The kernel gave up the connection, or would have.
    fn is_stuck(&self) -> bool {
        self.unread_since.get().is_some_and(|since| since.elapsed() >= self.unread_timeout)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let unsaid = || if self.is_stuck() { Closed::Stuck } else { Closed::Client };
        metric::live_closed(self.closed.get().unwrap_or_else(unsaid)).increment(1);
    }
}

/// What goes out, and a hold on the socket.
pub(super) struct Body {
    outgoing: Outgoing,
    open: Rc<Open>,
}

impl Body {
    pub(super) fn new(outgoing: Outgoing, open: Rc<Open>) -> Self {
        Self { outgoing, open }
    }
}

impl MessageBody for Body {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    /// Is asked whenever the connection has taken what was given before.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.open.unread_since.set(None);
        let piece = ready!(Pin::new(&mut self.outgoing).poll_next(context));
        self.open.unread_since.set(Some(Instant::now()));
        Poll::Ready(piece)
    }
}
