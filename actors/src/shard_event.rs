//! What other threads send to a shard.

use crate::commit::CommitOutcome;
use crate::follower::HorizonMark;
use crate::load::HydratedUser;

/// What the commit thread, the hydration threads and `Profiles` send to a shard.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// The outcomes of the commits of one group.
    CommitsSettled(Vec<CommitOutcome>),
    /// The outcomes of one group will never come.
    CommitsLost,
    /// Users that were loaded.
    UsersHydrated(Vec<HydratedUser>),
    /// There is a new policy.
    PolicyChanged,
    /// All outcomes up to the mark's position in the journal came before this event.
    HorizonMark(HorizonMark),
}
