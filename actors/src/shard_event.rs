//! What other threads send to a shard.

use domain::id::UserId;
use tokio::sync::oneshot;

use crate::commit::CommitOutcome;
use crate::discard::DiscardedUser;
use crate::follower::HorizonMark;
use crate::load::HydratedUser;
use crate::roster::WarmStart;

/// What the commit thread, the hydration threads and `Profiles` send to a shard.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// The outcomes of the commits of one group.
    CommitsSettled(Vec<CommitOutcome>),
    /// The outcomes of one group will never come.
    CommitsLost,
    /// Users that were loaded.
    UsersHydrated(Vec<HydratedUser>),
    /// A warm user whose actor a request waits for.
    WarmUserNeeded(WarmStart),
    /// An operator wants a user's actor to end. The answer says whether this shard had it and it ended.
    PassivationRequested(UserId, oneshot::Sender<bool>),
    /// What memory holds of a user must be forgotten. The answer comes when this shard has done it, with the subscribers.
    DiscardRequested(UserId, oneshot::Sender<DiscardedUser>),
    /// There is a new policy.
    PolicyChanged,
    /// All outcomes up to the mark's position in the journal came before this event.
    HorizonMark(HorizonMark),
}
