//! Reads and writes the bytes of a connection, between its socket and actix's dispatcher.

use std::cell::RefMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::admission::Admission;
use super::blocked_write::BlockedWrite;
use super::closing::Closing;
use super::handle::{ConnectionHandle, ConnectionState, Phase};
use super::parser_answer;
use super::read_control::{READ_AT_ONCE, poll_read_at_most};
use crate::http::problem::Code;

/// Maximum length of a request line, in bytes.
const MAX_REQUEST_LINE: usize = 16 * 1024;
/// Maximum number of bytes that a client may send while it receives a stream.
const MAX_DURING_STREAM: usize = 16 * 1024;

/// The only owner of an accepted socket. Dropping it closes the socket, even if handles are left.
pub(super) struct Connection {
    handle: ConnectionHandle,
    _admission: Admission,
    /// Fires at the client's deadline or earlier, so that it need not be set again for each request.
    read_timer: Option<Pin<Box<Sleep>>>,
    blocked_write: Option<BlockedWrite>,
    closing: Option<Closing>,
    /// Number of bytes of the request line so far; `None` once the line is complete.
    request_line: Option<usize>,
    /// Number of bytes that may be read before the dispatcher gets its turn.
    at_once: usize,
    is_read_to_end: bool,
}

impl Connection {
    /// Returns the owner of the socket of `handle`.
    pub(super) fn new(handle: ConnectionHandle, admission: Admission) -> Self {
        Self {
            handle,
            _admission: admission,
            read_timer: None,
            blocked_write: None,
            closing: None,
            request_line: Some(0),
            at_once: READ_AT_ONCE,
            is_read_to_end: false,
        }
    }

    /// Returns the handle that requests and answers use.
    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }

    fn state(&self) -> &ConnectionState {
        &self.handle.0
    }

    /// Closes the connection after the bytes `last`. Ready when it is closed, like a read at the end of the client's
    /// bytes.
    fn close_after(&mut self, last: Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closing = Some(Closing::new(last, true));
        self.poll_closing(context)
    }

    /// Continues to close the connection.
    fn poll_closing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(closing) = &mut self.closing else { return Poll::Ready(Ok(())) };
        let mut stream = self.handle.0.stream.borrow_mut();
        match stream.as_mut() {
            Some(stream) => closing.poll(stream, context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Answers with a problem and closes the connection.
    fn refuse(&mut self, code: Code, detail: &'static str, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let last = self.state().worker.refuse_request(code, detail);
        self.close_after(last, context)
    }

    /// Whether nothing is read from the client for now, because its request is being answered or it does not read an
    /// answer.
    fn is_held(&self) -> bool {
        let state = self.state();
        match state.phase.get() {
            Phase::Busy => !state.ends_with_client.get() && state.reading.of_body() == 0,
            Phase::Fresh(_) | Phase::Head(_) | Phase::Idle(_) => self.blocked_write.is_some(),
        }
    }

    /// Lets the dispatcher read again, if reading was held.
    ///
    /// Waking the dispatcher makes it search its buffer for a request, in vain: it took all requests out before the
    /// last answer. So it is woken by new bytes only. If a body was left unfinished, the dispatcher closes the
    /// connection without being woken.
    fn resume_reading(&self, context: &mut Context<'_>) {
        let state = self.state();
        let Some(held) = state.reading.release() else { return };
        let mut has_no_bytes = || open_stream(state).is_ok_and(|stream| stream.poll_read_ready(context).is_pending());
        if !has_no_bytes() {
            held.wake();
        }
    }

    /// Reads as many bytes as may be read now.
    fn poll_some(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = &*self.handle.0;
        let is_body = matches!(state.phase.get(), Phase::Busy) && !state.ends_with_client.get();
        let max = if is_body { state.reading.of_body() } else { self.at_once };
        if max == 0 {
            self.at_once = READ_AT_ONCE;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = out.filled().len();
        let read = poll_read_at_most(&mut *open_stream(state)?, context, out, max);
        let count = out.filled().len() - before;
        if is_body {
            state.reading.took(count);
        } else {
            self.at_once -= count;
        }
        read
    }

    /// Fails if the answer is a stream whose client has closed the connection, possibly before the stream began.
    fn check_follower(&self) -> io::Result<()> {
        let has_left = self.is_read_to_end && self.state().ends_with_client.get();
        if has_left { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Updates phase and counters after bytes were received. Returns `false` if the request line is too long.
    fn note_received(&mut self, received: &[u8]) -> io::Result<bool> {
        let phase = self.state().phase.get();
        let received =
            if let Phase::Fresh(_) | Phase::Idle(_) = phase { without_blank_lines(received) } else { received };
        if received.is_empty() {
            return Ok(true);
        }
        match phase {
            Phase::Idle(_) => {
                self.state().phase.set(Phase::Head(Instant::now()));
                self.request_line = Some(0);
            }
            Phase::Fresh(since) => self.state().phase.set(Phase::Head(since)),
            Phase::Busy if self.state().ends_with_client.get() => {
                let count = self.state().received_during_stream.get() + received.len();
                self.state().received_during_stream.set(count);
                if count > MAX_DURING_STREAM {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
            Phase::Head(_) | Phase::Busy => {}
        }
        if let Some(length) = self.request_line {
            let end = memchr::memchr(b'\n', received);
            let length = length + end.unwrap_or(received.len());
            self.request_line = end.is_none().then_some(length);
            return Ok(length <= MAX_REQUEST_LINE);
        }
        Ok(true)
    }

    /// Ready when the client's deadline has passed.
    fn poll_read_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.read_timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(context));
        // It is set again, if needed, once the dispatcher has handled the received bytes.
        self.read_timer = None;
        let has_passed = self.state().read_deadline().is_some_and(|deadline| deadline <= Instant::now());
        if has_passed && self.blocked_write.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Makes the timer fire at the client's deadline or earlier.
    fn arm_read_timer(&mut self, context: &mut Context<'_>) {
        let Some(deadline) = self.state().read_deadline() else { return };
        let timer = match &mut self.read_timer {
            Some(timer) if timer.deadline() <= deadline => return,
            Some(timer) => {
                timer.as_mut().reset(deadline);
                timer
            }
            none => none.insert(Box::pin(sleep_until(deadline))),
        };
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }

    /// Ends the connection of a client whose deadline has passed, after an answer if the client has begun a request.
    fn time_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state().phase.get() {
            Phase::Head(_) => self.refuse(
                Code::RequestTimeout,
                "the request line and headers did not arrive within `http.client_header_timeout_s`",
                context,
            ),
            // The dispatcher closes the connection.
            Phase::Fresh(_) | Phase::Idle(_) | Phase::Busy => Poll::Ready(Ok(())),
        }
    }

    /// Answers a request that the parser refused with `status`, and closes the connection.
    fn refuse_unparsed(&mut self, status: StatusCode, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state().body_failed.get() || self.state().is_body_unfinished.get() {
            // The fault is in the body of a request that its handler has answered already.
            return self.close_after(Bytes::new(), context);
        }
        let (code, detail) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                (Code::HeadersTooLarge, "a request has at most 128 KiB and 96 lines of headers")
            }
            status if status.is_server_error() => (Code::Internal, "the request could not be handled"),
            _ => (Code::MalformedRequest, "the request does not follow RFC 9112"),
        };
        self.refuse(code, detail, context)
    }

    /// Writes bytes, and waits for a client that does not read.
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let state = &*self.handle.0;
        let mut stream = open_stream(state)?;
        let written = match Pin::new(&mut *stream).poll_write(context, bytes) {
            Poll::Pending => {
                let blocked = self.blocked_write.get_or_insert_with(|| BlockedWrite::new(state));
                ready!(blocked.poll(state, &stream, context, bytes))
            }
            Poll::Ready(written) => written,
        };
        drop(stream);
        note_timeout(state, &written);
        if self.blocked_write.take().is_some()
            && let Phase::Idle(_) = state.phase.get()
        {
            state.phase.set(Phase::Idle(Instant::now()));
        }
        Poll::Ready(written)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.handle.0.stream.take();
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_some() {
            return this.poll_closing(context);
        }
        if this.is_held() {
            this.state().reading.hold(context);
            return Poll::Pending;
        }
        let before = out.filled().len();
        match this.poll_some(context, out) {
            Poll::Ready(Ok(())) if out.filled().len() == before => {
                this.is_read_to_end = true;
                Poll::Ready(this.check_follower())
            }
            Poll::Ready(Ok(())) => {
                if this.note_received(&out.filled()[before..])? {
                    return Poll::Ready(Ok(()));
                }
                out.set_filled(before);
                this.refuse(Code::UriTooLong, "a request line has at most 16 KiB", context)
            }
            Poll::Ready(error) => {
                note_timeout(this.state(), &error);
                Poll::Ready(error)
            }
            Poll::Pending => {
                ready!(this.poll_read_timer(context));
                this.time_out(context)
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closing.is_some() {
            // Nothing is sent after the last answer.
            return this.poll_closing(context).map(|_| Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let mut bytes = bytes;
        if !matches!(this.state().phase.get(), Phase::Busy)
            && let Some((at, status)) = parser_answer::find(bytes)
        {
            if at == 0 {
                // Ends with an error that the dispatcher does not log, because the fault is the client's.
                let refused = this.refuse_unparsed(status, context);
                return refused.map(|_| Err(io::ErrorKind::ConnectionAborted.into()));
            }
            bytes = &bytes[..at];
        }
        let written = this.write(context, bytes);
        if written.is_pending() {
            this.check_follower()?;
        }
        written
    }

    /// Called by the dispatcher at the end of each of its runs.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            this.check_follower()?;
            this.arm_read_timer(context);
            if !this.is_held() {
                this.resume_reading(context);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            let awaits_client = this.state().is_body_unfinished.get() && !this.is_read_to_end;
            this.closing = Some(Closing::new(Bytes::new(), awaits_client));
        }
        this.poll_closing(context)
    }
}

/// Returns the bytes after leading blank lines, which a server ignores before a request (RFC 9112, section 2.2).
fn without_blank_lines(received: &[u8]) -> &[u8] {
    let blank = received.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &received[blank..]
}

/// Returns the socket.
///
/// # Errors
/// Its owner has been dropped.
fn open_stream(state: &ConnectionState) -> io::Result<RefMut<'_, TcpStream>> {
    RefMut::filter_map(state.stream.borrow_mut(), Option::as_mut).map_err(|_| io::ErrorKind::NotConnected.into())
}

/// Notes that the kernel has ended the connection because its client does not read.
fn note_timeout<T>(state: &ConnectionState, outcome: &io::Result<T>) {
    if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        state.write_timed_out.set(true);
    }
}
