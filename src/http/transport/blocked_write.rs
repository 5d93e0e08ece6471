//! The time-out of what a client does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tokio::time::{Instant, Sleep, sleep};

use super::handle::ConnectionState;

/// How often the connection is tried within the time-out.
const TRIES: u32 = 4;

/// A connection that takes nothing: a write waits.
pub(super) struct BlockedWrite {
    since: Instant,
    /// The next try.
    tick: Pin<Box<Sleep>>,
}

impl BlockedWrite {
    pub(super) fn new(state: &ConnectionState) -> Self {
        Self { since: Instant::now(), tick: Box::pin(sleep(state.worker.timeouts.write / TRIES)) }
    }

    /// Waits until the connection takes some of `bytes`, tried from time to time; an error once it has taken nothing
    /// for too long. The event queue reports a connection only when a good part of its buffer is free, so that a slow
    /// client would look like one that reads nothing: a try tells them apart.
    pub(super) fn poll(
        &mut self,
        state: &ConnectionState,
        stream: &TcpStream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        while self.tick.as_mut().poll(context).is_ready() {
            match send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => return Poll::Ready(Ok(sent)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            match state.write_timeout.get() {
                Some(timeout) if self.since.elapsed() >= timeout => {
                    state.write_timed_out.set(true);
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Some(_) => {}
                None => self.since = Instant::now(),
            }
            let next = Instant::now() + state.worker.timeouts.write / TRIES;
            self.tick.as_mut().reset(next);
        }
        Poll::Pending
    }
}
