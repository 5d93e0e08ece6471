//! The bytes of a connection, between the socket and actix's dispatcher.

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
/// Maximum number of bytes that the client of a stream may send while it follows it.
const MAX_BESIDE_STREAM: usize = 16 * 1024;

/// The one owner of an accepted socket. Dropping it closes the socket, whoever holds a handle.
pub(super) struct Connection {
    handle: ConnectionHandle,
    _admission: Admission,
    /// Armed for the client's deadline or an earlier time, so that it need not be set for each request.
    read_timer: Option<Pin<Box<Sleep>>>,
    blocked_write: Option<BlockedWrite>,
    closing: Option<Closing>,
    /// Length of the request line as far as it came; `None` once it is whole.
    request_line: Option<usize>,
    /// What may be read before the dispatcher has its turn.
    at_once: usize,
    is_read_to_end: bool,
}

impl Connection {
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

    pub(super) fn handle(&self) -> &ConnectionHandle {
        &self.handle
    }

    fn state(&self) -> &ConnectionState {
        &self.handle.0
    }

    /// Sends `last`, and closes when the client has read it; ready, as at the end of the client's bytes, when that is done.
    fn close_behind(&mut self, last: Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closing = Some(Closing::new(last, true));
        self.poll_closing(context)
    }

    fn poll_closing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(closing) = &mut self.closing else { return Poll::Ready(Ok(())) };
        let mut stream = self.handle.0.stream.borrow_mut();
        match stream.as_mut() {
            Some(stream) => closing.poll(stream, context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }

    fn refuse(&mut self, code: Code, detail: &'static str, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let last = self.state().worker.refuse_request(code, detail);
        self.close_behind(last, context)
    }

    /// Whether the client has to wait: it has a request that is being answered, or an answer that it does not read.
    fn is_held(&self) -> bool {
        let state = self.state();
        match state.phase.get() {
            Phase::Busy => !state.ends_with_client.get() && state.reading.of_body() == 0,
            Phase::Fresh(_) | Phase::Head(_) | Phase::Idle(_) => self.blocked_write.is_some(),
        }
    }

    /// Lets the dispatcher read again, if it was told to wait.
    ///
    /// Waking it costs one more search for a request in what it has read before. That search finds nothing: the
    /// dispatcher took every request out of its buffer before the last one was answered. So it is woken by new bytes
    /// alone, unless it has the rest of a body to deal with.
    fn go_on_reading(&self, context: &mut Context<'_>) {
        let state = self.state();
        let Some(held) = state.reading.release() else { return };
        let mut is_quiet = || open_stream(state).is_ok_and(|stream| stream.poll_read_ready(context).is_pending());
        if state.is_body_unfinished.get() || !is_quiet() {
            held.wake();
        }
    }

    /// Reads as much as may be read now.
    fn poll_some(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = &*self.handle.0;
        let is_body = matches!(state.phase.get(), Phase::Busy) && !state.ends_with_client.get();
        let most = if is_body { state.reading.of_body() } else { self.at_once };
        if most == 0 {
            self.at_once = READ_AT_ONCE;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = out.filled().len();
        let read = poll_read_at_most(&mut *open_stream(state)?, context, out, most);
        let count = out.filled().len() - before;
        if is_body {
            state.reading.took(count);
        } else {
            self.at_once -= count;
        }
        read
    }

    /// An error if the answer is a stream whose client has left, perhaps before the stream began.
    fn check_follower(&self) -> io::Result<()> {
        let has_left = self.is_read_to_end && self.state().ends_with_client.get();
        if has_left { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Takes note of bytes that came; `false` if the request line is too long.
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
                let beside = self.state().beside_stream.get() + received.len();
                self.state().beside_stream.set(beside);
                if beside > MAX_BESIDE_STREAM {
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

    /// Ready when the client has let its time pass.
    fn poll_read_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.read_timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(context));
        // It is armed anew, if need be, when the dispatcher has seen what came.
        self.read_timer = None;
        let is_over = self.state().read_deadline().is_some_and(|deadline| deadline <= Instant::now());
        if is_over && self.blocked_write.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Sees to it that the timer fires at the client's deadline, or before.
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

    /// The client's time has passed.
    fn time_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state().phase.get() {
            Phase::Head(_) => self.refuse(
                Code::RequestTimeout,
                "the request line and headers did not come within `http.client_header_timeout_s`",
                context,
            ),
            // The dispatcher closes the connection.
            Phase::Fresh(_) | Phase::Idle(_) | Phase::Busy => Poll::Ready(Ok(())),
        }
    }

    fn refuse_unparsed(&mut self, status: StatusCode, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state().body_failed.get() || self.state().is_body_unfinished.get() {
            // The handler of this very request has answered it, before or after the fault in its body was seen.
            return self.close_behind(Bytes::new(), context);
        }
        let (code, detail) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                (Code::HeadersTooLarge, "a request has at most 128 KiB and 96 lines of headers")
            }
            status if status.is_server_error() => (Code::Internal, "the request could not be handled"),
            _ => (Code::MalformedRequest, "the request is not framed as RFC 9112 has it"),
        };
        self.refuse(code, detail, context)
    }

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
            // Nothing follows the last answer.
            return this.poll_closing(context).map(|_| Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let mut bytes = bytes;
        if !matches!(this.state().phase.get(), Phase::Busy)
            && let Some((at, status)) = parser_answer::find(bytes)
        {
            if at == 0 {
                // An error, once the answer was read: the dispatcher would log what is the client's fault.
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

    /// The dispatcher calls this at the end of each of its runs.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            this.check_follower()?;
            this.arm_read_timer(context);
            if !this.is_held() {
                this.go_on_reading(context);
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

/// A server skips blank lines before a request (RFC 9112, section 2.2).
fn without_blank_lines(received: &[u8]) -> &[u8] {
    let blank = received.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &received[blank..]
}

/// The socket, which is there as long as its owner is.
fn open_stream(state: &ConnectionState) -> io::Result<RefMut<'_, TcpStream>> {
    RefMut::filter_map(state.stream.borrow_mut(), Option::as_mut).map_err(|_| io::ErrorKind::NotConnected.into())
}

/// The kernel gives a connection up whose client does not read.
fn note_timeout<T>(state: &ConnectionState, outcome: &io::Result<T>) {
    if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        state.write_timed_out.set(true);
    }
}
