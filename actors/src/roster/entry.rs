//! What the roster holds for a user in memory.

use std::sync::Arc;

use actix::prelude::*;

use super::warm::WarmUser;
use crate::head::{ConsentBits, HeadCell};
use crate::priority::Limits;
use crate::request::{Request, WaitingRequests};

/// A user in memory. It is as small as it can be, since there are millions of warm users.
pub(super) enum RosterEntry<A: Actor> {
    /// The user has an actor.
    Live(Box<LiveActor<A>>),
    /// The user's state is being loaded from the store, or unpacked from the bytes of a warm user. It gets its actor then.
    Starting { waiting: Box<WaitingRequests>, source: Source },
    /// The user has no actor. Its head is in memory.
    Warm(WarmUser),
}

/// Where the state of a starting user comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Store,
    /// The bytes of a warm user. Holds the consent at its head, which cannot change before the actor is there.
    Memory(ConsentBits),
}

/// The address of a live actor, and its head cell.
pub(crate) struct LiveActor<A: Actor> {
    pub(crate) addr: Addr<A>,
    pub(crate) cell: Arc<HeadCell>,
}

impl<A: Actor<Context = Context<A>> + Handler<Request>> LiveActor<A> {
    #[expect(clippy::result_large_err, reason = "the request comes back by value and goes on")]
    pub(super) fn send(&self, request: Request, limits: Limits) -> Result<(), SendError<Request>> {
        if !self.cell.message_in(limits.of(request.priority())) {
            return Err(SendError::Full(request));
        }
        self.addr.try_send(request).inspect_err(|_| self.cell.message_out())
    }
}

impl<A: Actor> RosterEntry<A> {
    /// Returns whether this is the actor with `cell`.
    pub(super) fn is_of(&self, cell: &Arc<HeadCell>) -> bool {
        matches!(self, Self::Live(live) if Arc::ptr_eq(&live.cell, cell))
    }
}
