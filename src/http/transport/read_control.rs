//! How much is read from a client, and when.
//!
//! The dispatcher reads up to 128 KiB ahead, whatever it is doing, and with so much in hand it runs again and again until
//! the requests before it are answered. So nothing is read while a request is answered or an answer waits for its
//! client, except the request's body as far as its handler asks for it. What the client sends ahead waits in the
//! system's buffers and is lost to nobody.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Maximum number of bytes that are read before the dispatcher deals with them.
pub(super) const READ_AT_ONCE: usize = 32 * 1024;
/// Maximum number of bytes of a body that are read each time its handler waits for more.
const BODY_AT_ONCE: usize = 64 * 1024;

/// What a connection and the request that it answers agree on.
#[derive(Default)]
pub(super) struct ReadControl {
    /// How many bytes the handler of the request waits for.
    body: Cell<usize>,
    /// Wakes the dispatcher, which was told to wait.
    held: Cell<Option<Waker>>,
}

impl ReadControl {
    /// How many bytes of the request's body may be read now.
    pub(super) fn of_body(&self) -> usize {
        self.body.get()
    }

    /// Bytes of the body were read.
    pub(super) fn took(&self, count: usize) {
        self.body.set(self.body.get().saturating_sub(count));
    }

    /// The handler waits for more of its body.
    pub(super) fn want_body(&self) {
        self.body.set(BODY_AT_ONCE);
        self.go_on();
    }

    /// The handler waits for nothing of its body.
    pub(super) fn want_no_body(&self) {
        self.body.set(0);
    }

    /// Nothing is read until [`Self::go_on`].
    pub(super) fn hold(&self, context: &Context<'_>) {
        self.held.set(Some(context.waker().clone()));
    }

    /// Ends the hold, and returns what wakes the dispatcher; `None` if nothing was held.
    pub(super) fn release(&self) -> Option<Waker> {
        self.held.take()
    }

    /// Reading goes on, if it was held.
    pub(super) fn go_on(&self) {
        if let Some(waker) = self.release() {
            waker.wake();
        }
    }
}

/// Reads at most `most` bytes.
pub(super) fn poll_read_at_most(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    out: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<()>> {
    // Neither clears the buffer first: that would cost more than the rest of a small request.
    if out.remaining() <= most {
        return Pin::new(stream).poll_read(context, out);
    }
    Pin::new(&mut stream.take(most as u64)).poll_read(context, out)
}
