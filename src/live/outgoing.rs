//! The body of a socket's response: answers of the session, and frames of the users that it follows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actors::outlet::{FrameKind, OutletFrame, OutletReceiver};
use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use super::frame;
use crate::json_text;

/// Number of bytes that are sent at once, so that many small frames cost one write.
const PIECE_BYTES: usize = 32 * 1024;

/// The client's ids of subscriptions by number, until the first frame of each subscription is sent.
#[derive(Default)]
pub(super) struct PendingIds(RefCell<HashMap<u64, String>>);

impl PendingIds {
    /// Makes the first frame of `subscription` carry `id`.
    pub(super) fn insert(&self, subscription: u64, id: String) {
        self.0.borrow_mut().insert(subscription, id);
    }

    /// Takes the id that the first frame of `subscription` carries; `None` if that frame was sent or carries none.
    pub(super) fn take(&self, subscription: u64) -> Option<String> {
        self.0.borrow_mut().remove(&subscription)
    }
}

/// The members of a frame that concern one receiver alone.
#[derive(Serialize)]
struct OwnMembers {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
}

/// Returns the members of a frame that concern one receiver alone, each followed by a comma.
pub(super) fn own_members(id: Option<String>, reset: bool) -> String {
    if id.is_none() && !reset {
        return String::new();
    }
    json_text::members(&OwnMembers { id, reset }) + ","
}

/// What is sent on a socket: the session's answers first, then the frames of its outlet.
pub(super) struct Outgoing {
    answers: Receiver<Bytes>,
    frames: OutletReceiver,
    /// Frames that were taken from the outlet for the piece at hand.
    taken: Vec<OutletFrame>,
    pending_ids: Rc<PendingIds>,
    ended: UnboundedSender<EndedSubscription>,
}

/// Reports a subscription that gets no further frame.
pub(super) enum EndedSubscription {
    /// The user's actor has ended. The subscription is to be resumed.
    Resync {
        user: UserId,
        subscription: u64,
        /// Whether a frame with `reset` was due and was not sent.
        owes_reset: bool,
    },
    /// The user was erased, and the client has been told.
    Erased { user: UserId, subscription: u64 },
}

impl Outgoing {
    /// Returns the body of a socket's response. Subscriptions that get no further frame are reported to `ended`.
    pub(super) fn new(
        answers: Receiver<Bytes>,
        frames: OutletReceiver,
        pending_ids: Rc<PendingIds>,
        ended: UnboundedSender<EndedSubscription>,
    ) -> Self {
        Self { answers, frames, taken: Vec::new(), pending_ids, ended }
    }

    /// Appends the taken frames to `piece`. A single frame is sent as the bytes that its mask class shares, without a
    /// copy.
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

    /// Returns the shared bytes of a frame that needs no members of its own.
    fn shared(&self, frame: &OutletFrame) -> Option<Bytes> {
        let is_plain = !frame.message.kind.is_last() && !frame.reset && self.pending_ids.0.borrow().is_empty();
        is_plain.then(|| frame.message.framed().clone())
    }

    /// Appends one frame, or reports to the session what it says.
    fn put(&self, frame: &OutletFrame, piece: &mut BytesMut) {
        let message = &frame.message;
        match message.kind {
            // Fails only when the session has ended, which has ended its subscriptions too.
            FrameKind::Resync => {
                let OutletFrame { user, subscription, reset: owes_reset, .. } = *frame;
                let _ = self.ended.send(EndedSubscription::Resync { user, subscription, owes_reset });
            }
            FrameKind::Erased => {
                self.pending_ids.take(frame.subscription);
                piece.extend_from_slice(message.framed());
                let OutletFrame { user, subscription, .. } = *frame;
                let _ = self.ended.send(EndedSubscription::Erased { user, subscription });
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
        while piece.len() < PIECE_BYTES {
            match this.answers.poll_recv(context) {
                Poll::Ready(Some(answer)) => piece.extend_from_slice(&answer),
                // The session has ended, so the frames left in the outlet are not sent.
                Poll::Ready(None) if piece.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => return Poll::Ready(Some(Ok(piece.freeze()))),
                Poll::Pending => break,
            }
        }
        while piece.len() < PIECE_BYTES
            && this.frames.poll_frames(context, &mut this.taken, PIECE_BYTES - piece.len()).is_ready()
        {
            let written = this.write(piece);
            // Nothing is written if all taken frames were reports to the session.
            if !written.is_empty() {
                return Poll::Ready(Some(Ok(written)));
            }
            piece = BytesMut::new();
        }
        if piece.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(piece.freeze()))) }
    }
}
