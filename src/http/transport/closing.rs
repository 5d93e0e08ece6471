//! Closing a connection so that its client can read what it was sent.
//!
//! To close a socket that holds unread bytes resets the connection, and a client that is still sending may then lose
//! the answer. So the sending half is closed first, and what still comes is discarded, up to a bound in bytes and time
//! (RFC 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take to read the last answer and to close its half.
const LINGER: Duration = Duration::from_secs(5);
/// Maximum number of bytes that are discarded.
const DISCARDED: usize = 64 << 20;
/// What is discarded before other connections have their turn.
const AT_A_TIME: usize = 256 * 1024;

/// A connection that is being closed.
pub(super) struct Closing {
    /// What is still to be sent.
    last: Bytes,
    is_half_closed: bool,
    is_over: bool,
    /// Whether the client has to close its half, too.
    awaits_client: bool,
    left: usize,
    timer: Pin<Box<Sleep>>,
}

impl Closing {
    /// Sends `last`, and closes. Unless it `awaits_client`, only what has come already is discarded.
    pub(super) fn new(last: Bytes, awaits_client: bool) -> Self {
        let timer = Box::pin(sleep(LINGER));
        Self { last, is_half_closed: false, is_over: false, awaits_client, left: DISCARDED, timer }
    }

    /// Ready when the connection can be dropped.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_over
            && self.poll_end(stream, context).is_pending()
            && self.timer.as_mut().poll(context).is_pending()
        {
            return Poll::Pending;
        }
        self.is_over = true;
        Poll::Ready(())
    }

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

    /// Ready at the client's end, at an error, or when there was too much.
    fn discard(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; 8 * 1024];
        let mut at_once = AT_A_TIME;
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
