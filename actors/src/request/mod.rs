//! Requests to a user's actor, and what they are answered with.

mod counters;
mod erase;
mod get_head;
mod mark_snapshot;
mod subscribe;
mod waiting;

use std::time::Instant;

use actix::Message;
use domain::event::{FeedEvent, RegisterWrite};
use tokio::sync::oneshot;

pub use counters::UserCounters;
pub(crate) use erase::Erase;
pub(crate) use get_head::{CommittedHead, GetHead};
pub(crate) use mark_snapshot::{MarkSnapshot, MarkedState, SnapshotOrder};
pub use subscribe::Subscription;
pub(crate) use subscribe::{CursorPast, Subscribe, SubscribeOutcome};
pub(crate) use waiting::WaitingRequests;

use crate::error::ReadError;
use crate::flights::Flight;
use crate::priority::{Priority, Share};
use crate::reply::Reply;

/// A request to a user. There is one type for all of them, so that a request can wait for its actor, and go on to the
/// next actor if its actor ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Request {
    ApplyFeedEvent(ApplyFeedEvent),
    WriteConsent(WriteConsent),
    MarkSnapshot(MarkSnapshot),
    Erase(Erase),
    GetHead(GetHead),
    Subscribe(Subscribe),
    /// Removes closed outlets.
    PruneOutlets,
    /// Has the user loaded again, because commits of its last actor may not have reached the columns.
    Reload,
    /// Has the user loaded, if it exists. The look-up ends when the request is dropped.
    WakeUp(Flight),
    Observe(oneshot::Sender<UserCounters>),
    #[cfg(test)]
    Panic,
}

/// Merges an event. Answered when the result is durable.
#[derive(Debug)]
pub(crate) struct ApplyFeedEvent {
    pub(crate) event: FeedEvent,
    pub(crate) received: Instant,
    pub(crate) reply: Reply,
    /// The event's share of the memory that waiting events may take.
    pub(crate) share: Share,
}

/// Makes an event of the citizen's consent, later than everything that it overwrites.
#[derive(Debug)]
pub(crate) struct WriteConsent {
    pub(crate) writes: Vec<RegisterWrite>,
    pub(crate) received: Instant,
    pub(crate) reply: Reply,
}

impl Request {
    /// Returns the class of the request, which decides how much of a bounded resource it may use.
    pub(crate) fn priority(&self) -> Priority {
        match self {
            Self::ApplyFeedEvent(_) => Priority::Feed,
            Self::WriteConsent(_) | Self::MarkSnapshot(_) | Self::Erase(_) => Priority::OwnWrite,
            Self::GetHead(_)
            | Self::Subscribe(_)
            | Self::PruneOutlets
            | Self::Reload
            | Self::WakeUp(_)
            | Self::Observe(_) => Priority::Read,
            #[cfg(test)]
            Self::Panic => Priority::Read,
        }
    }

    /// Returns whether the request makes an actor for a user that has no state: one that does not exist yet, or was erased.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::ApplyFeedEvent(_) | Self::WriteConsent(_) | Self::Erase(_))
    }

    /// Answers with an error. A write's reply answers busy when it is dropped. Does nothing if the caller is gone.
    pub(crate) fn fail(self, error: ReadError) {
        match self {
            Self::ApplyFeedEvent(_)
            | Self::WriteConsent(_)
            | Self::PruneOutlets
            | Self::Reload
            | Self::WakeUp(_)
            | Self::Observe(_) => {}
            Self::MarkSnapshot(MarkSnapshot { answer, .. }) => drop(answer.send(Err(error))),
            Self::Erase(Erase { answer, .. }) => drop(answer.send(Err(error))),
            Self::GetHead(GetHead { answer }) => drop(answer.send(Err(error))),
            Self::Subscribe(Subscribe { answer, .. }) => drop(answer.send(Err(error))),
            #[cfg(test)]
            Self::Panic => {}
        }
    }
}
