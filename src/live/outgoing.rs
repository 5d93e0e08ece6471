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
use futures_util::Stream;
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use super::frame;

/// As much goes into one piece, so that many small frames cost one write.
const PIECE: usize = 32 * 1024;

/// What the first frame of a subscription says beside what everybody of its class gets.
#[derive(Default)]
pub(super) struct Openings(RefCell<HashMap<u64, Opening>>);

/// Members of a first frame.
#[derive(Default)]
pub(super) struct Opening {
    /// The client's own name of its subscription.
    pub(super) id: Option<String>,
    /// A cursor was given in vain.
    pub(super) reset: bool,
}

impl Openings {
    /// The first frame of `subscription` shall carry `opening`.
    pub(super) fn expect(&self, subscription: u64, opening: Opening) {
        self.0.borrow_mut().insert(subscription, opening);
    }

    /// No first frame will come.
    pub(super) fn forget(&self, subscription: u64) {
        self.0.borrow_mut().remove(&subscription);
    }

    /// What the first frame is to carry, if it is still to come.
    pub(super) fn take(&self, subscription: u64) -> Option<Opening> {
        self.0.borrow_mut().remove(&subscription)
    }
}

impl Opening {
    /// The members as they stand in an object that goes on behind them.
    fn members(self) -> String {
        let Self { id, reset } = self;
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
}

/// The frames of a socket: the session's answers first, then the outlet's.
pub(super) struct Outgoing {
    answers: Receiver<Bytes>,
    frames: Pin<Box<dyn Stream<Item = Frame>>>,
    openings: Rc<Openings>,
    again: UnboundedSender<(UserId, u64)>,
}

impl Outgoing {
    /// `again` hears of subscriptions whose actor is no more.
    pub(super) fn new(
        answers: Receiver<Bytes>,
        frames: OutletReceiver,
        openings: Rc<Openings>,
        again: UnboundedSender<(UserId, u64)>,
    ) -> Self {
        let frames = futures_util::stream::unfold(frames, |mut frames| async move {
            let frame = frames.recv().await;
            Some((frame, frames))
        });
        Self { answers, frames: Box::pin(frames), openings, again }
    }

    fn put(&self, frame: &Frame, piece: &mut BytesMut) {
        if frame.kind == FrameKind::Resync {
            // A session that ended needs no subscription any more.
            let _ = self.again.send((frame.user, frame.subscription));
            return;
        }
        match (frame.kind, frame.text.strip_prefix(b"{")) {
            (FrameKind::Profile | FrameKind::Gone, Some(rest)) => {
                let members = self.openings.take(frame.subscription).map_or(String::new(), Opening::members);
                frame::put_text(piece, &[b"{", members.as_bytes(), rest]);
            }
            _ => frame::put_text(piece, &[&frame.text]),
        }
    }
}

impl MessageBody for Outgoing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE {
            match self.answers.poll_recv(context) {
                Poll::Ready(Some(answer)) => piece.extend_from_slice(&answer),
                // The session is over: nothing follows, whatever waits in the outlet.
                Poll::Ready(None) if piece.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break,
                Poll::Pending => match self.frames.as_mut().poll_next(context) {
                    Poll::Ready(Some(frame)) => self.put(&frame, &mut piece),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending if piece.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                },
            }
        }
        Poll::Ready(Some(Ok(piece.freeze())))
    }
}
