//! The write time-out: ends a connection whose client does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::rt::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tokio::time::{Instant, Sleep, sleep};

use super::handle::ConnectionState;

/// Number of attempts to write within the time-out.
const TRIES: u32 = 4;

/// A write that waits because the client does not read.
pub(super) struct BlockedWrite {
    since: Instant,
    /// Fires at the next attempt.
    tick: Pin<Box<Sleep>>,
}

impl BlockedWrite {
    /// Begins to wait now.
    pub(super) fn new(state: &ConnectionState) -> Self {
        Self { since: Instant::now(), tick: Box::pin(sleep(state.worker.timeouts.write / TRIES)) }
    }

    /// Waits until some of `bytes` can be written. The system reports a connection as writable only once a good part of
    /// its buffer is free, so a slow client would look like one that does not read. Attempts to write tell them apart.
    ///
    /// # Errors
    /// Nothing could be written until the time-out, or the connection has failed.
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
