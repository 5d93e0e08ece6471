//! What goes out: the response's body.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actors::outlet::{Frame, FrameKind, OutletReceiver};
use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use super::frame;

/// As much goes into one piece, so that many small frames cost one write.
const PIECE: usize = 32 * 1024;

/// The clients' own names of their subscriptions, until the first frame of each went out.
#[derive(Default)]
pub(super) struct PendingIds(RefCell<HashMap<u64, Option<String>>>);

impl PendingIds {
    /// The first frame of `subscription` shall carry `id`.
    pub(super) fn expect(&self, subscription: u64, id: Option<String>) {
        self.0.borrow_mut().insert(subscription, id);
    }

    /// The name that the first frame is to carry, if it is still to come.
    pub(super) fn take(&self, subscription: u64) -> Option<String> {
        self.0.borrow_mut().remove(&subscription).flatten()
    }
}

/// The members of a frame that are its receiver's alone, as they stand in an object that goes on behind them.
pub(super) fn own_members(id: Option<String>, reset: bool) -> String {
    let mut members = String::new();
    if let Some(id) = id {
        members.push_str("\"id\":");
        members.push_str(&serde_json::Value::from(id).to_string());
        members.push(',');
    }
    if reset {
        members.push_str("\"reset\":true,");
    }
    members
}

/// The frames of a socket: the session's answers first, then the outlet's.
pub(super) struct Outgoing {
    answers: Receiver<Bytes>,
    frames: OutletReceiver,
    /// What was taken from the outlet for this piece.
    taken: Vec<Frame>,
    pending_ids: Rc<PendingIds>,
    again: UnboundedSender<ActorEnded>,
}

/// A subscription whose actor is no more.
pub(super) struct ActorEnded {
    pub(super) user: UserId,
    pub(super) subscription: u64,
    /// Whether a frame that says that it resets was not sent yet.
    pub(super) owes_reset: bool,
}

impl Outgoing {
    /// `again` hears of subscriptions whose actor is no more.
    pub(super) fn new(
        answers: Receiver<Bytes>,
        frames: OutletReceiver,
        pending_ids: Rc<PendingIds>,
        again: UnboundedSender<ActorEnded>,
    ) -> Self {
        Self { answers, frames, taken: Vec::new(), pending_ids, again }
    }

    /// Writes what was taken behind `piece`. One frame alone goes out as the very bytes that its class shares.
    fn write(&mut self, mut piece: BytesMut) -> Bytes {
        if let ([frame], true) = (self.taken.as_slice(), piece.is_empty())
            && let Some(whole) = self.shared(frame)
        {
            self.taken.clear();
            return whole;
        }
        self.taken.iter().for_each(|frame| self.put(frame, &mut piece));
        self.taken.clear();
        piece.freeze()
    }

    /// The bytes of a frame to which nothing is to be added.
    fn shared(&self, frame: &Frame) -> Option<Bytes> {
        let is_plain =
            frame.message.kind != FrameKind::Resync && !frame.reset && self.pending_ids.0.borrow().is_empty();
        is_plain.then(|| frame.message.framed().clone())
    }

    fn put(&self, frame: &Frame, piece: &mut BytesMut) {
        let message = &frame.message;
        match message.kind {
            // A session that ended needs no subscription any more.
            FrameKind::Resync => {
                let Frame { user, subscription, reset: owes_reset, .. } = *frame;
                let _ = self.again.send(ActorEnded { user, subscription, owes_reset });
            }
            FrameKind::Completeness => piece.extend_from_slice(message.framed()),
            FrameKind::Profile | FrameKind::Patch | FrameKind::Gone => {
                let own = own_members(self.pending_ids.take(frame.subscription), frame.reset);
                match message.text().strip_prefix(b"{") {
                    Some(rest) if !own.is_empty() => frame::put_text(piece, &[b"{", own.as_bytes(), rest]),
                    _ => piece.extend_from_slice(message.framed()),
                }
            }
        }
    }
}

impl MessageBody for Outgoing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        let mut piece = BytesMut::new();
        while piece.len() < PIECE {
            match this.answers.poll_recv(context) {
                Poll::Ready(Some(answer)) => piece.extend_from_slice(&answer),
                // The session is over: nothing follows, whatever waits in the outlet.
                Poll::Ready(None) if piece.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => return Poll::Ready(Some(Ok(piece.freeze()))),
                Poll::Pending => break,
            }
        }
        while piece.len() < PIECE && this.frames.poll_frames(context, &mut this.taken, PIECE - piece.len()).is_ready() {
            let written = this.write(piece);
            // What was taken may have been words to the session only.
            if !written.is_empty() {
                return Poll::Ready(Some(Ok(written)));
            }
            piece = BytesMut::new();
        }
        if piece.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(piece.freeze()))) }
    }
}
