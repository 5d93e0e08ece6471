//! The running system: the actors of the users, the shards that they live on, and what all threads share.
//!
//! A shard is one thread. [`shard::Shard`] is the state that its actors share; [`ProfileActor`] is the mailbox in front of one
//! user's [`crate::profile::ProfileState`]; [`RosterActor`] deals with everything that is not for one user. The roster
//! leads from a user to its actor, the actor to its shard, and the shard to the roster: so these types are in one
//! module.

mod actor;
mod admit;
mod roster_actor;
mod shard;
mod sweep;
mod turns;

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

use domain::id::UserId;
use tokio::sync::mpsc::UnboundedSender;

pub(crate) use actor::ProfileActor;
pub(crate) use roster_actor::{Observe, RosterActor};
#[cfg(test)]
pub(crate) use shard::{Shard, UnpackFault};

use crate::columns::{ColumnStore, MissedCommits};
use crate::flights::Flights;
use crate::follower::Followers;
use crate::history_lane::HistoryLane;
use crate::load_queue::LoadQueue;
use crate::priority::Pool;
use crate::request::Request;
use crate::roster::{Roster, StartInShard};
use crate::services::Services;
use crate::shard_event::ShardEvent;
use crate::shard_key::ShardKey;
use crate::snapshots::UserTurns;

/// What all threads of the live state share.
pub(crate) struct Runtime {
    pub(crate) services: Services,
    pub(crate) roster: Roster<ProfileActor>,
    pub(crate) loads: LoadQueue,
    /// Reads through history that wait.
    pub(crate) history: Arc<HistoryLane>,
    /// Look-ups that wait, of callers who must not learn whether a user exists.
    pub(crate) look_ups: Arc<Pool>,
    pub(crate) flights: Arc<Flights>,
    /// Bytes of feed events that wait for their users.
    pub(crate) waiting_bytes: Arc<Pool>,
    pub(crate) shard_key: ShardKey,
    pub(crate) followers: Arc<Followers>,
    /// Changes of one user's snapshots follow each other.
    pub(crate) snapshot_turns: UserTurns,
    pub(crate) columns: Arc<ColumnStore>,
    pub(crate) missed: MissedCommits,
    // Unbounded, but every event was paid for: an outcome with a permit, a hydrated or warm user with a place in the roster.
    pub(crate) shards: Vec<UnboundedSender<ShardEvent>>,
    pub(crate) live_actors: AtomicUsize,
    /// Set when the system stops. No write is accepted after it.
    pub(crate) closing: AtomicBool,
    /// Set when all threads have ended: whether every commit was dealt with.
    pub(crate) is_drained: OnceLock<bool>,
}

impl Runtime {
    /// Returns the shard that a user's actor lives on.
    pub(crate) fn shard_of(&self, user: &UserId) -> usize {
        self.shard_key.shard_of(user, self.shards.len())
    }

    /// Sends a request to its user. Never blocks. Returns the request if a queue is full.
    pub(crate) fn dispatch(&self, user: UserId, request: Request) -> Result<(), Box<Request>> {
        let sent = self.roster.dispatch(user, request, &self.services.commits);
        let start = sent.inspect_err(|_| self.services.metrics.mailbox_rejected.increment(1))?;
        if let Some(StartInShard { shard, start }) = start {
            // Without a barrier through the commit queue, which a load needs. An actor becomes warm only when each of its
            // records has its outcome, so the bytes are the newest committed state. And they are the only copy: they were
            // taken out of the user's entry, and nothing else can start the user until this event has been dealt with.
            // A shard that has stopped needs no users: `Profiles::stop` refuses the requests that wait for them.
            let _ = self.shards[usize::from(shard)].send(ShardEvent::WarmUserNeeded(start));
        }
        Ok(())
    }

    /// Has users loaded whose commits may not have reached the columns. A user for whom there is no room now is tried again.
    pub(crate) fn load_missed(&self, users: Vec<UserId>) {
        for user in users {
            let _ = self.dispatch(user, Request::Reload);
        }
    }
}
