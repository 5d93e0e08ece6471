//! Closes a connection so that its client can read the last answer.
//!
//! Closing a socket that has unread bytes resets the connection, and a client that is still sending may then lose the
//! answer. So the sending half is closed first, and received bytes are discarded, up to a bound in bytes and time (RFC
//! 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take to read the last answer and to close its sending half.
const LINGER: Duration = Duration::from_secs(5);
/// Maximum number of bytes to discard.
const MAX_DISCARDED: usize = 64 << 20;
/// Number of bytes to discard before other connections get their turn.
const AT_ONCE: usize = 256 * 1024;

/// A connection that is being closed.
pub(super) struct Closing {
    /// The bytes that are still to be sent.
    last: Bytes,
    is_half_closed: bool,
    is_finished: bool,
    /// Whether to wait until the client has closed its sending half too.
    awaits_client: bool,
    /// Number of bytes that may still be discarded.
    left: usize,
    timer: Pin<Box<Sleep>>,
}

impl Closing {
    /// Begins to close a connection after the bytes `last`. Unless it `awaits_client`, only bytes that have been
    /// received already are discarded.
    pub(super) fn new(last: Bytes, awaits_client: bool) -> Self {
        let timer = Box::pin(sleep(LINGER));
        Self { last, is_half_closed: false, is_finished: false, awaits_client, left: MAX_DISCARDED, timer }
    }

    /// Ready when the connection can be dropped.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_finished
            && self.poll_end(stream, context).is_pending()
            && self.timer.as_mut().poll(context).is_pending()
        {
            return Poll::Pending;
        }
        self.is_finished = true;
        Poll::Ready(())
    }

    /// Sends the last bytes, closes the sending half, and discards what is received.
    fn poll_end(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        while !self.last.is_empty() {
            match Pin::new(&mut *stream).poll_write(context, &self.last) {
                Poll::Ready(Ok(sent)) if sent > 0 => self.last.advance(sent),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !self.is_half_closed {
            self.is_half_closed = true;
            if !matches!(Pin::new(&mut *stream).poll_shutdown(context), Poll::Ready(Ok(()))) {
                return Poll::Ready(());
            }
        }
        self.discard(stream, context)
    }

    /// Discards received bytes. Ready when the client has closed its half, at an error, or after too many bytes.
    fn discard(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; 8 * 1024];
        let mut at_once = AT_ONCE;
        loop {
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut *stream).poll_read(context, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() && piece.filled().len() < self.left => {
                    self.left -= piece.filled().len();
                    at_once = at_once.saturating_sub(piece.filled().len());
                }
                Poll::Pending if self.awaits_client => return Poll::Pending,
                Poll::Ready(_) | Poll::Pending => return Poll::Ready(()),
            }
            if at_once == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}
