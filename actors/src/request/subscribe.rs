//! What it takes to subscribe to a user.

use domain::access::Viewer;
use domain::past::PastProfile;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;
use tokio::sync::oneshot;

use crate::error::ReadError;
use crate::outlet::OutletSender;

/// A live subscription to one user.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The subscription's number, unique among those that share the outlet.
    pub id: u64,
    /// Who receives the frames.
    pub viewer: Viewer,
    /// The leaves that the subscriber asks for; `None` asks for all.
    pub fields: Option<LeafSet>,
    /// The schema version of the documents and patches.
    pub schema: SchemaVersion,
    /// Whether the operations of patches name the source of the value that they lead to, as the provenance of the leaf has it.
    pub names_sources: bool,
    /// The cursor of the last message that the subscriber received, if it received any.
    pub cursor: Option<String>,
    /// Whether the subscriber followed the user before, with another view or another actor. Then a user that is hidden
    /// from it is `gone`, and may come back; otherwise it is unknown.
    pub followed_before: bool,
    /// Where the frames go.
    pub outlet: OutletSender,
}

/// Adds a subscriber. Answered when the first frame is in its queue, or when the actor needs the past for that frame.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) subscription: Subscription,
    pub(crate) past: CursorPast,
    pub(crate) answer: oneshot::Sender<Result<SubscribeOutcome, ReadError>>,
}

/// The profile at the cursor's revision.
#[derive(Debug)]
pub(crate) enum CursorPast {
    /// Nobody has read it yet.
    NotRead,
    /// The store does not reach back to it.
    OutOfReach,
    /// It was read.
    Profile(Box<PastProfile>),
}

/// The result of [`Subscribe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubscribeOutcome {
    /// The subscription is open.
    Open,
    /// The cursor can be continued with the profile as it was at this revision: ask again with it.
    NeedsPast(u64),
}
