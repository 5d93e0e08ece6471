//! The roster: the map from users to actors. Every request passes through it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::prelude::*;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as MapEntry;
use domain::access::Consent;
use domain::id::UserId;

use crate::commit::CommitQueue;
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::priority::{Limits, Pool, Priority};
use crate::request::Request;

/// The map from users to their actors, which are of type `A`. A request to a live actor costs one look-up and one
/// `try_send`. A request to a user without an actor waits in the map, in arrival order, until the user is hydrated.
///
/// The order of a user's requests is kept: a request is sent while its part of the map is locked, and the waiting
/// requests are handed to the new actor in the same step that makes it visible.
pub(crate) struct Roster<A: Actor> {
    users: DashMap<UserId, RosterEntry<A>>,
    hydrating: Pool,
    max_hydrating: Limits,
    max_waiting: Limits,
}

/// Whether a user has an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The user has one. Holds the consent at its head, if there is a head.
    Live(Option<Consent>),
    /// The user has none, or is being hydrated.
    Cold,
}

enum RosterEntry<A: Actor> {
    Live(LiveActor<A>),
    Hydrating(Vec<Request>),
}

/// The address of a live actor, and its head cell.
pub(crate) struct LiveActor<A: Actor> {
    pub(crate) addr: Addr<A>,
    pub(crate) cell: Arc<HeadCell>,
}

impl<A: Actor<Context = Context<A>> + Handler<Request>> LiveActor<A> {
    #[expect(clippy::result_large_err, reason = "the request comes back by value and goes on")]
    fn send(&self, request: Request, limits: Limits) -> Result<(), SendError<Request>> {
        if !self.cell.message_in(limits.of(request.priority())) {
            return Err(SendError::Full(request));
        }
        self.addr.try_send(request).inspect_err(|_| self.cell.message_out())
    }
}

impl<A: Actor<Context = Context<A>> + Handler<Request>> Roster<A> {
    /// Returns an empty roster. At most `max_hydrating` users may wait to be loaded, and `max_waiting` requests for each of
    /// them, or in the mailbox of each actor.
    pub(crate) fn new(max_hydrating: Limits, max_waiting: Limits) -> Self {
        Self { users: DashMap::new(), hydrating: Pool::default(), max_hydrating, max_waiting }
    }

    /// Sends a request to its user's actor, or lets it wait until the user is hydrated. Never blocks. Returns the request if
    /// the mailbox or the queue is full.
    pub(crate) fn dispatch(&self, user: UserId, request: Request, commits: &CommitQueue) -> Result<(), Box<Request>> {
        let (priority, limits) = (request.priority(), self.max_waiting);
        let request = match self.users.get(&user).as_deref() {
            Some(RosterEntry::Live(live)) => match live.send(request, limits) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(request)) => return Err(Box::new(request)),
                Err(SendError::Closed(request)) => request,
            },
            _ => request,
        };
        match self.users.entry(user) {
            MapEntry::Vacant(vacant) => {
                if !self.begin_load(user, priority, commits) {
                    return Err(Box::new(request));
                }
                vacant.insert(RosterEntry::Hydrating(vec![request]));
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                RosterEntry::Hydrating(waiting) if waiting.len() >= limits.of(priority) => {
                    return Err(Box::new(request));
                }
                RosterEntry::Hydrating(waiting) => waiting.push(request),
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
                        occupied.insert(RosterEntry::Hydrating(vec![request]));
                    }
                },
            },
        }
        Ok(())
    }

    /// Sends a request only if the user is live. Returns whether it was sent.
    pub(crate) fn send_if_live(&self, user: &UserId, request: Request) -> bool {
        match self.users.get(user).as_deref() {
            Some(RosterEntry::Live(live)) => live.send(request, self.max_waiting).is_ok(),
            _ => false,
        }
    }

    /// Returns whether a user is live, without a request to its actor.
    pub(crate) fn presence(&self, user: &UserId) -> Presence {
        match self.users.get(user).as_deref() {
            Some(RosterEntry::Live(live)) => Presence::Live(live.cell.consent()),
            Some(RosterEntry::Hydrating(_)) | None => Presence::Cold,
        }
    }

    /// Has a user loaded, if the limit allows it. Must be called while the user's entry is locked, so that the loaded user
    /// finds the entry.
    fn begin_load(&self, user: UserId, priority: Priority, commits: &CommitQueue) -> bool {
        if !self.hydrating.try_take(self.max_hydrating.of(priority)) {
            return false;
        }
        let is_begun = commits.load(user).is_ok();
        if !is_begun {
            self.hydrating.give_back(1);
        }
        is_begun
    }

    /// Fails every request that waits for a user to be loaded. Called when no user is loaded any more.
    pub(crate) fn refuse_waiting(&self) {
        let mut refused = Vec::new();
        self.users.retain(|_, entry| match entry {
            RosterEntry::Live(_) => true,
            RosterEntry::Hydrating(waiting) => {
                self.hydrating.give_back(1);
                refused.append(waiting);
                false
            }
        });
        refused.into_iter().for_each(|request| request.fail(ReadError::Busy));
    }

    /// Ends a user's hydration. `admit` receives the waiting requests and returns the actor. If it returns `None`, or
    /// panics, the user has no entry any more.
    pub(crate) fn admit(&self, user: UserId, admit: impl FnOnce(Vec<Request>) -> Option<LiveActor<A>>) {
        let MapEntry::Occupied(mut occupied) = self.users.entry(user) else { return };
        let RosterEntry::Hydrating(waiting) = occupied.get_mut() else { return };
        self.hydrating.give_back(1);
        let waiting = std::mem::take(waiting);
        match catch_unwind(AssertUnwindSafe(|| admit(waiting))).unwrap_or_default() {
            Some(live) => drop(occupied.insert(RosterEntry::Live(live))),
            None => drop(occupied.remove()),
        }
    }

    /// Removes an actor if no message waits for it. After that, none can arrive. Returns whether it was removed.
    pub(crate) fn passivate(&self, user: &UserId, cell: &Arc<HeadCell>) -> bool {
        let quiet = |_: &UserId, entry: &RosterEntry<A>| is_of(entry, cell) && cell.is_quiet();
        self.users.remove_if(user, quiet).is_some()
    }

    /// Removes an actor, even if messages wait for it.
    pub(crate) fn remove(&self, user: &UserId, cell: &Arc<HeadCell>) {
        self.users.remove_if(user, |_, entry| is_of(entry, cell));
    }

    /// Returns the number of users that wait to be loaded.
    pub(crate) fn hydrating(&self) -> usize {
        self.hydrating.taken()
    }

    /// Returns whether no message waits for any user. Looks at every user.
    pub(crate) fn is_quiet(&self) -> bool {
        self.users.iter().all(|entry| matches!(entry.value(), RosterEntry::Live(live) if live.cell.is_quiet()))
    }
}

fn is_of<A: Actor>(entry: &RosterEntry<A>, cell: &Arc<HeadCell>) -> bool {
    matches!(entry, RosterEntry::Live(live) if Arc::ptr_eq(&live.cell, cell))
}
