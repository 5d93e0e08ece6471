//! The roster: the map from users to actors and to the heads of warm users. Every request passes through it.
//!
//! A user in memory is live, starting or warm (`entry`); any other is cold, in the store alone. A user has one entry, and
//! each move from one form to another is made while the entry is locked. So a user has one actor at most, and no actor
//! while its head is held as bytes:
//!
//! - cold to starting, and on to live: `Roster::dispatch` begins the load, `Roster::admit` ends it.
//! - live to warm: `Roster::passivate`, only if no message waits for the actor.
//! - warm to starting: `Roster::dispatch` takes the bytes out of the entry. `Roster::admit` ends that start too, or
//!   `Roster::load_instead` turns it into a load if the bytes do not unpack.
//! - warm to cold: `Roster::passivate` drops other warm users when their bound is reached. They are in the store.

mod entry;
mod tiers;
mod user_map;
mod warm;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::prelude::*;
use domain::access::Consent;
use domain::id::UserId;
use domain::port::clock::Entropy;
use hashbrown::hash_table::Entry;

use self::entry::{RosterEntry, Source};
use self::user_map::UserMap;
use self::warm::WarmTier;
use crate::commit::CommitQueue;
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::priority::{Limits, Pool, Priority};
use crate::request::{Request, WaitingRequests};

pub(crate) use self::entry::LiveActor;
#[cfg(test)]
pub(crate) use self::warm::PackedHead;
pub(crate) use self::warm::{WarmStart, WarmUser};

/// The map from users to their actors, which are of type `A`. A request to a live actor costs one look-up and one
/// `try_send`. A request to a user without an actor waits in the map, in arrival order, until the user has one.
///
/// The order of a user's requests is kept: a request is sent while its part of the map is locked, and the waiting
/// requests are handed to the new actor in the same step that makes it visible.
pub(crate) struct Roster<A: Actor> {
    users: UserMap<RosterEntry<A>>,
    warm: WarmTier,
    /// The users that are being loaded from the store.
    hydrating: Pool,
    /// The users that are being started from memory. They have a limit of their own: a slow store must not refuse them.
    unpacking: Pool,
    max_starting: Limits,
    max_waiting: Limits,
}

/// The limits of a roster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RosterLimits {
    /// Maximum number of users that wait to be loaded, and again of users that wait to be unpacked.
    pub(crate) starting: Limits,
    /// Maximum number of requests that wait for each of them, and in the mailbox of each actor.
    pub(crate) waiting: Limits,
    /// Maximum number of bytes of the warm users.
    pub(crate) warm_bytes: usize,
}

/// What the roster holds for a user.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    #[default]
    Cold,
    Starting,
    Live,
    Warm,
}

/// Whether a user is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The user is live or warm, or being started from memory. Holds the consent at its head, if there is a head.
    InMemory(Option<Consent>),
    /// The user is cold, or being loaded from the store.
    Cold,
}

/// A request was taken, and the shard must start the user's actor from memory.
#[derive(Debug)]
pub(crate) struct StartInShard {
    pub(crate) shard: u16,
    pub(crate) start: WarmStart,
}

impl<A: Actor<Context = Context<A>> + Handler<Request>> Roster<A> {
    /// Returns an empty roster.
    pub(crate) fn new(limits: RosterLimits, entropy: &dyn Entropy) -> Self {
        let mut key = [0; 16];
        entropy.fill(&mut key);
        Self {
            users: UserMap::new(&key),
            warm: WarmTier::new(limits.warm_bytes),
            hydrating: Pool::default(),
            unpacking: Pool::default(),
            max_starting: limits.starting,
            max_waiting: limits.waiting,
        }
    }

    /// Sends a request to its user's actor, or lets it wait until the user has one. Never blocks. Returns the request if
    /// the mailbox or the queue is full. If the user was warm, the caller must pass the start on to the shard.
    pub(crate) fn dispatch(
        &self,
        user: UserId,
        request: Request,
        commits: &CommitQueue,
    ) -> Result<Option<StartInShard>, Box<Request>> {
        let (priority, limits) = (request.priority(), self.max_waiting);
        self.users.with_entry(&user, |entry| {
            let mut occupied = match entry {
                Entry::Occupied(occupied) => occupied,
                Entry::Vacant(vacant) => {
                    if !self.begin_load(user, priority, commits) {
                        return Err(Box::new(request));
                    }
                    vacant.insert((user, starting(request, Source::Store)));
                    return Ok(None);
                }
            };
            match &mut occupied.get_mut().1 {
                RosterEntry::Live(live) => match live.send(request, limits) {
                    Ok(()) => {}
                    Err(SendError::Full(request)) => return Err(Box::new(request)),
                    // A panic ended the actor: the user is hydrated again.
                    Err(SendError::Closed(request)) => {
                        live.cell.retire();
                        if !self.begin_load(user, priority, commits) {
                            occupied.remove();
                            return Err(Box::new(request));
                        }
                        occupied.get_mut().1 = starting(request, Source::Store);
                    }
                },
                RosterEntry::Starting { waiting, .. } if waiting.len() >= limits.of(priority) => {
                    return Err(Box::new(request));
                }
                RosterEntry::Starting { waiting, .. } => waiting.push(request),
                entry @ RosterEntry::Warm(_) => {
                    if !self.unpacking.try_take(self.max_starting.of(priority)) {
                        return Err(Box::new(request));
                    }
                    return Ok(self.begin_warm_start(user, entry, request));
                }
            }
            Ok(None)
        })
    }

    /// Takes the bytes out of the entry of a warm user, which collects requests from now on.
    fn begin_warm_start(&self, user: UserId, entry: &mut RosterEntry<A>, request: Request) -> Option<StartInShard> {
        let RosterEntry::Warm(warm) = entry else { return None };
        self.warm.remove(warm);
        let source = Source::Memory(warm.consent());
        let RosterEntry::Warm(warm) = std::mem::replace(entry, starting(request, source)) else { return None };
        Some(StartInShard { shard: warm.shard(), start: warm.into_start(user) })
    }

    /// Sends a request only if the user is live. Returns whether it was sent.
    pub(crate) fn send_if_live(&self, user: &UserId, request: Request) -> bool {
        self.users.with(user, |entry| match entry {
            Some(RosterEntry::Live(live)) => live.send(request, self.max_waiting).is_ok(),
            _ => false,
        })
    }

    /// Returns whether a user is in memory, without a request to its actor.
    pub(crate) fn presence(&self, user: &UserId) -> Presence {
        self.users.with(user, |entry| match entry {
            Some(RosterEntry::Live(live)) => Presence::InMemory(live.cell.consent()),
            Some(RosterEntry::Warm(warm)) => Presence::InMemory(warm.consent().consent()),
            Some(RosterEntry::Starting { source: Source::Memory(consent), .. }) => {
                Presence::InMemory(consent.consent())
            }
            Some(RosterEntry::Starting { source: Source::Store, .. }) | None => Presence::Cold,
        })
    }

    /// Has a user loaded, if the limit allows it. Must be called while the user's entry is locked, so that the loaded user
    /// finds the entry.
    fn begin_load(&self, user: UserId, priority: Priority, commits: &CommitQueue) -> bool {
        if !self.hydrating.try_take(self.max_starting.of(priority)) {
            return false;
        }
        let is_begun = commits.load(user).is_ok();
        if !is_begun {
            self.hydrating.give_back(1);
        }
        is_begun
    }

    fn pool(&self, source: Source) -> &Pool {
        match source {
            Source::Store => &self.hydrating,
            Source::Memory(_) => &self.unpacking,
        }
    }

    /// Fails every request that waits for a user to start. Called when no user is started any more.
    pub(crate) fn refuse_waiting(&self) {
        let mut refused = Vec::new();
        self.users.retain(|entry| match entry {
            RosterEntry::Live(_) | RosterEntry::Warm(_) => true,
            RosterEntry::Starting { waiting, source } => {
                self.pool(*source).give_back(1);
                refused.push(std::mem::take(waiting));
                false
            }
        });
        refused.into_iter().for_each(|waiting| waiting.fail(ReadError::Busy));
    }

    /// Ends a user's start. `admit` receives the waiting requests and returns the actor. If it returns `None`, or panics,
    /// the user has no entry any more.
    pub(crate) fn admit(&self, user: UserId, admit: impl FnOnce(Box<WaitingRequests>) -> Option<LiveActor<A>>) {
        self.users.with_entry(&user, |entry| {
            let Entry::Occupied(mut occupied) = entry else { return };
            let RosterEntry::Starting { waiting, source } = &mut occupied.get_mut().1 else { return };
            self.pool(*source).give_back(1);
            let waiting = std::mem::take(waiting);
            match catch_unwind(AssertUnwindSafe(|| admit(waiting))).unwrap_or_default() {
                Some(live) => occupied.get_mut().1 = RosterEntry::Live(Box::new(live)),
                None => drop(occupied.remove()),
            }
        });
    }

    /// Has a user loaded from the store whose bytes in memory do not unpack. Its requests go on waiting. There is no limit:
    /// the user was counted already.
    pub(crate) fn load_instead(&self, user: UserId, commits: &CommitQueue) {
        let refused = self.users.with_entry(&user, |entry| {
            let Entry::Occupied(mut occupied) = entry else { return None };
            let RosterEntry::Starting { source, .. } = &mut occupied.get_mut().1 else { return None };
            self.pool(std::mem::replace(source, Source::Store)).give_back(1);
            if commits.load(user).is_ok() {
                self.hydrating.add(1);
                return None;
            }
            Some(occupied.remove().0.1)
        });
        if let Some(RosterEntry::Starting { waiting, .. }) = refused {
            waiting.fail(ReadError::Busy);
        }
    }

    /// Removes an actor, even if messages wait for it.
    pub(crate) fn remove(&self, user: &UserId, cell: &Arc<HeadCell>) {
        let _ended = self.users.with_entry(user, |entry| match entry {
            Entry::Occupied(occupied) if occupied.get().1.is_of(cell) => Some(occupied.remove().0.1),
            _ => None,
        });
    }

    /// Returns the number of users that wait to be loaded or unpacked.
    pub(crate) fn starting(&self) -> usize {
        self.hydrating.taken() + self.unpacking.taken()
    }

    /// Returns what the roster holds for a user.
    #[cfg(test)]
    pub(crate) fn form(&self, user: &UserId) -> Form {
        self.users.with(user, |entry| match entry {
            None => Form::Cold,
            Some(RosterEntry::Live(_)) => Form::Live,
            Some(RosterEntry::Starting { .. }) => Form::Starting,
            Some(RosterEntry::Warm(_)) => Form::Warm,
        })
    }

    /// Returns whether no message waits for any user. Looks at every user.
    pub(crate) fn is_quiet(&self) -> bool {
        self.users.all(|entry| match entry {
            RosterEntry::Live(live) => live.cell.is_quiet(),
            RosterEntry::Starting { .. } => false,
            RosterEntry::Warm(_) => true,
        })
    }
}

fn starting<A: Actor>(request: Request, source: Source) -> RosterEntry<A> {
    RosterEntry::Starting { waiting: Box::new(WaitingRequests::from_first(request)), source }
}
