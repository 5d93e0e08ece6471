//! Clients that do not read what they are sent.
//!
//! Nothing in HTTP or WebSocket ends a connection whose client is there and takes no more: its system goes on answering
//! that the window is full. So the kernel is told to give up after a while (`TCP_USER_TIMEOUT`, RFC 5482, which on
//! Linux counts a window that stays full too); whatever the connection is at ends with an error then.
//!
//! A stream of events is the exception: its client may send all of it before it reads the first answer.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustix::net::sockopt::set_tcp_user_timeout;

/// The socket of a connection, for those of its requests that change the limit.
#[derive(Clone)]
struct Connection(Rc<Inner>);

struct Inner {
    /// Another name of the socket, which the dispatcher owns and shows to nobody.
    socket: RefCell<Option<OwnedFd>>,
    limit: Duration,
    lifts: Cell<u64>,
}

/// Limits a connection that was accepted just now.
pub(crate) fn limit(stream: &dyn Any, data: &mut Extensions, limit: Duration) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else { return };
    let limited = set(stream, limit).and_then(|()| stream.as_fd().try_clone_to_owned());
    match limited {
        Ok(socket) => {
            let inner = Inner { socket: RefCell::new(Some(socket)), limit, lifts: Cell::new(0) };
            data.insert(Connection(Rc::new(inner)));
        }
        Err(error) => tracing::warn!(%error, "a connection goes on without a limit on what is not read"),
    }
}

/// The socket of the request's connection, for a response that looks after it itself from now on.
pub(crate) fn take_socket(request: &HttpRequest) -> Option<OwnedFd> {
    request.conn_data().and_then(|Connection(inner)| inner.socket.take())
}

/// Lifts the limit off the request's connection.
pub(super) fn lift(request: &HttpRequest) -> Lifted {
    let Some(Connection(inner)) = request.conn_data() else { return Lifted::default() };
    inner.lifts.set(inner.lifts.get() + 1);
    let lifted = Lifted { number: inner.lifts.get(), connection: Rc::downgrade(inner), is_over: Cell::new(true) };
    lifted.renew();
    lifted
}

/// A limit that is lifted. It keeps no connection open.
#[derive(Default)]
pub(super) struct Lifted {
    number: u64,
    connection: Weak<Inner>,
    is_over: Cell<bool>,
}

impl Lifted {
    /// The client has to read from now on, for which it has the usual time.
    pub(super) async fn end(&self) {
        let Some(limit) = self.connection.upgrade().map(|inner| inner.limit) else { return };
        tokio::time::sleep(limit).await;
        self.is_over.set(true);
        self.set(limit);
    }

    /// If the client had to read meanwhile, it need not any more.
    pub(super) fn renew(&self) {
        if self.is_over.take() {
            self.set(Duration::ZERO);
        }
    }

    fn set(&self, limit: Duration) {
        // A later request of the connection has its own say.
        let Some(inner) = self.connection.upgrade().filter(|inner| inner.lifts.get() == self.number) else { return };
        if let Some(Err(error)) = inner.socket.borrow().as_ref().map(|socket| set(socket, limit)) {
            tracing::debug!(%error, "the limit on what is not read could not be changed");
        }
    }
}

/// Zero is no limit.
fn set(socket: impl AsFd, limit: Duration) -> io::Result<()> {
    Ok(set_tcp_user_timeout(socket, u32::try_from(limit.as_millis()).unwrap_or(u32::MAX))?)
}
