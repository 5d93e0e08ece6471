//! Controls when and how much is read from a client.
//!
//! The dispatcher reads up to 128 KiB ahead, and with that in its buffer it runs again and again until the requests
//! before are answered. So while a request is being answered or its answer is not read, nothing is read except the body
//! that the handler waits for. Other bytes of the client wait in the buffers of the system.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Maximum number of bytes that are read before the dispatcher handles them.
pub(super) const READ_AT_ONCE: usize = 32 * 1024;
/// Maximum number of bytes of a body that are read each time its handler waits for more.
const BODY_AT_ONCE: usize = 64 * 1024;

/// What a connection and the request that it answers share about reading.
#[derive(Default)]
pub(super) struct ReadControl {
    /// Number of bytes of the body that may be read for the handler.
    body: Cell<usize>,
    /// Wakes the dispatcher if reading is held.
    held: Cell<Option<Waker>>,
}

impl ReadControl {
    /// Returns the number of bytes of the request's body that may be read now.
    pub(super) fn of_body(&self) -> usize {
        self.body.get()
    }

    /// Notes that bytes of the body were read.
    pub(super) fn took(&self, count: usize) {
        self.body.set(self.body.get().saturating_sub(count));
    }

    /// Notes that the handler waits for more of the body.
    pub(super) fn want_body(&self) {
        self.body.set(BODY_AT_ONCE);
        self.resume();
    }

    /// Notes that the handler does not wait for the body.
    pub(super) fn want_no_body(&self) {
        self.body.set(0);
    }

    /// Holds reading until [`Self::resume`].
    pub(super) fn hold(&self, context: &Context<'_>) {
        self.held.set(Some(context.waker().clone()));
    }

    /// Ends a hold and returns the waker of the dispatcher; `None` if reading was not held.
    pub(super) fn release(&self) -> Option<Waker> {
        self.held.take()
    }

    /// Ends a hold and wakes the dispatcher, if reading was held.
    pub(super) fn resume(&self) {
        if let Some(waker) = self.release() {
            waker.wake();
        }
    }
}

/// Reads at most `max` bytes.
pub(super) fn poll_read_at_most(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    out: &mut ReadBuf<'_>,
    max: usize,
) -> Poll<io::Result<()>> {
    // Neither way zeroes the buffer first, which would cost more than the rest of a small request.
    if out.remaining() <= max {
        return Pin::new(stream).poll_read(context, out);
    }
    Pin::new(&mut stream.take(max as u64)).poll_read(context, out)
}
