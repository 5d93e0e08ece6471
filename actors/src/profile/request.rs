//! What a ProfileActor is asked for.

use std::time::Instant;

use actix::Message;
use domain::access::Viewer;
use domain::event::{FeedEvent, RegisterWrite};
use domain::past::PastProfile;
use tokio::sync::oneshot;

use super::{Completeness, Subscription, UserCounters};
use crate::error::ReadError;
use crate::flights::Flight;
use crate::priority::{Priority, Share};
use crate::reply::Reply;
use crate::view_cache::View;

/// A request to a user. One type for all, so that a request can wait for its actor, and go to the next one if its
/// actor ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Request {
    ApplyFeedEvent(ApplyFeedEvent),
    WriteConsent(WriteConsent),
    GetView(GetView),
    GetCompleteness(GetCompleteness),
    OpenOutlet(OpenOutlet),
    PruneOutlets,
    /// Asks for nothing: the user is live then, where it exists, and a look-up is over.
    WakeUp(Flight),
    Observe(oneshot::Sender<UserCounters>),
    #[cfg(test)]
    Panic,
}

/// Merges an event; answered when it is durable.
#[derive(Debug)]
pub(crate) struct ApplyFeedEvent {
    pub(crate) event: FeedEvent,
    pub(crate) received: Instant,
    pub(crate) reply: Reply,
    /// Its part of the memory that waiting events may take.
    pub(crate) room: Share,
}

/// Makes an event of the citizen's consent, later than all that it overwrites.
#[derive(Debug)]
pub(crate) struct WriteConsent {
    pub(crate) writes: Vec<RegisterWrite>,
    pub(crate) received: Instant,
    pub(crate) reply: Reply,
}

/// The profile as a viewer may see it.
#[derive(Debug)]
pub(crate) struct GetView {
    pub(crate) viewer: Viewer,
    pub(crate) answer: oneshot::Sender<Result<View, ReadError>>,
}

/// How complete the profile is.
#[derive(Debug)]
pub(crate) struct GetCompleteness {
    pub(crate) viewer: Viewer,
    pub(crate) answer: oneshot::Sender<Result<Completeness, ReadError>>,
}

/// Adds a subscriber; answered when the first frame is in its queue, or when it needs the past for it.
#[derive(Debug)]
pub(crate) struct OpenOutlet {
    pub(crate) subscription: Subscription,
    /// The profile at the cursor's revision, where it was asked for; `None` in it where it cannot be reached.
    pub(crate) past: Option<Option<PastProfile>>,
    pub(crate) answer: oneshot::Sender<Result<Opened, ReadError>>,
}

/// What came of opening an outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is open.
    Open,
    /// It can be continued with the profile as it stood at this revision: ask again with it.
    NeedsPast(u64),
}

impl Request {
    /// The class of the request, which says how much of a bounded resource it may use.
    pub(crate) fn priority(&self) -> Priority {
        match self {
            Self::ApplyFeedEvent(_) => Priority::Feed,
            Self::WriteConsent(_) => Priority::OwnWrite,
            Self::GetView(_)
            | Self::GetCompleteness(_)
            | Self::OpenOutlet(_)
            | Self::PruneOutlets
            | Self::WakeUp(_)
            | Self::Observe(_) => Priority::Read,
            #[cfg(test)]
            Self::Panic => Priority::Read,
        }
    }

    /// Whether a user who is not known yet gets an actor for it.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::ApplyFeedEvent(_) | Self::WriteConsent(_))
    }

    /// Answers without an actor. A write's reply says busy by being dropped; whoever went away misses nothing.
    pub(crate) fn fail(self, error: ReadError) {
        match self {
            Self::ApplyFeedEvent(_)
            | Self::WriteConsent(_)
            | Self::PruneOutlets
            | Self::WakeUp(_)
            | Self::Observe(_) => {}
            Self::GetView(GetView { answer, .. }) => drop(answer.send(Err(error))),
            Self::GetCompleteness(GetCompleteness { answer, .. }) => drop(answer.send(Err(error))),
            Self::OpenOutlet(OpenOutlet { answer, .. }) => drop(answer.send(Err(error))),
            #[cfg(test)]
            Self::Panic => {}
        }
    }
}
