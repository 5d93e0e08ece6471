//! The map from users to actors, and the way of every request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::Addr;
use actix::prelude::SendError;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as MapEntry;
use domain::access::Consent;
use domain::id::UserId;

use crate::commit::CommitQueue;
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::priority::{Limits, Pool, Priority};
use crate::profile::{ProfileActor, Request};

/// The roster. A request to a live actor is one look-up and one `try_send`; a request to a user without one waits in
/// the map itself, in arrival order, until the user is hydrated.
///
/// Order per user is kept: a message goes out while its shard of the map is locked, and the waiting messages are
/// handed to the new actor in the same step that makes it visible.
#[derive(Debug)]
pub(crate) struct Roster {
    users: DashMap<UserId, Entry>,
    hydrating: Pool,
    max_hydrating: Limits,
    max_waiting: Limits,
}

/// What the roster knows of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// There is an actor; with the consent at its head, if it has one.
    Live(Option<Consent>),
    /// There is none, or it is on its way.
    Cold,
}

#[derive(Debug)]
enum Entry {
    Live(Live),
    Hydrating(Vec<Request>),
}

/// A live actor.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) addr: Addr<ProfileActor>,
    pub(crate) cell: Arc<HeadCell>,
}

impl Live {
    #[expect(clippy::result_large_err, reason = "the request comes back by value and goes on to somebody else")]
    fn send(&self, request: Request, limits: Limits) -> Result<(), SendError<Request>> {
        if !self.cell.message_in(limits.of(request.priority())) {
            return Err(SendError::Full(request));
        }
        self.addr.try_send(request).inspect_err(|_| self.cell.message_out())
    }
}

impl Roster {
    /// `max_hydrating` users may wait to be loaded; `max_waiting` requests of each wait with it, or in its mailbox.
    pub(crate) fn new(max_hydrating: Limits, max_waiting: Limits) -> Self {
        Self { users: DashMap::new(), hydrating: Pool::default(), max_hydrating, max_waiting }
    }

    /// Takes a request to its user's actor, or lets it wait for one. Never blocks; a full queue hands it back.
    pub(crate) fn dispatch(&self, user: UserId, request: Request, commits: &CommitQueue) -> Result<(), Box<Request>> {
        let (priority, limits) = (request.priority(), self.max_waiting);
        let request = match self.users.get(&user).as_deref() {
            Some(Entry::Live(live)) => match live.send(request, limits) {
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
                vacant.insert(Entry::Hydrating(vec![request]));
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                Entry::Hydrating(waiting) if waiting.len() >= limits.of(priority) => return Err(Box::new(request)),
                Entry::Hydrating(waiting) => waiting.push(request),
                Entry::Live(live) => match live.send(request, limits) {
                    Ok(()) => {}
                    Err(SendError::Full(request)) => return Err(Box::new(request)),
                    // A panic ended it: hydrate again.
                    Err(SendError::Closed(request)) => {
                        live.cell.retire();
                        if !self.begin_load(user, priority, commits) {
                            occupied.remove();
                            return Err(Box::new(request));
                        }
                        occupied.insert(Entry::Hydrating(vec![request]));
                    }
                },
            },
        }
        Ok(())
    }

    /// Tells a live actor something that nobody else needs to know. Whether it will hear of it.
    pub(crate) fn tell(&self, user: &UserId, request: Request) -> bool {
        match self.users.get(user).as_deref() {
            Some(Entry::Live(live)) => live.send(request, self.max_waiting).is_ok(),
            _ => false,
        }
    }

    /// What is known of a user. Nobody is asked, and nothing waits.
    pub(crate) fn presence(&self, user: &UserId) -> Presence {
        match self.users.get(user).as_deref() {
            Some(Entry::Live(live)) => Presence::Live(live.cell.consent()),
            Some(Entry::Hydrating(_)) | None => Presence::Cold,
        }
    }

    /// Has a user loaded if there is a place for it. Called while the user's entry is locked: what is loaded finds it.
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

    /// Refuses every request that waits for a user to be loaded, once nothing is loaded any more.
    pub(crate) fn refuse_waiting(&self) {
        let mut refused = Vec::new();
        self.users.retain(|_, entry| match entry {
            Entry::Live(_) => true,
            Entry::Hydrating(waiting) => {
                self.hydrating.give_back(1);
                refused.append(waiting);
                false
            }
        });
        refused.into_iter().for_each(|request| request.fail(ReadError::Busy));
    }

    /// Ends a user's hydration: `admit` gets the waiting requests and makes the actor; with `None` the user is
    /// nobody's again, and so they are when it panics.
    pub(crate) fn admit(&self, user: UserId, admit: impl FnOnce(Vec<Request>) -> Option<Live>) {
        let MapEntry::Occupied(mut occupied) = self.users.entry(user) else { return };
        let Entry::Hydrating(waiting) = occupied.get_mut() else { return };
        self.hydrating.give_back(1);
        let waiting = std::mem::take(waiting);
        match catch_unwind(AssertUnwindSafe(|| admit(waiting))).unwrap_or_default() {
            Some(live) => drop(occupied.insert(Entry::Live(live))),
            None => drop(occupied.remove()),
        }
    }

    /// Takes an actor out if no message waits for it; from then on none can come.
    pub(crate) fn passivate(&self, user: &UserId, cell: &Arc<HeadCell>) -> bool {
        let quiet = |_: &UserId, entry: &Entry| is_of(entry, cell) && cell.is_quiet();
        self.users.remove_if(user, quiet).is_some()
    }

    /// Takes an actor out whatever waits for it.
    pub(crate) fn remove(&self, user: &UserId, cell: &Arc<HeadCell>) {
        self.users.remove_if(user, |_, entry| is_of(entry, cell));
    }

    /// How many users wait to be loaded.
    pub(crate) fn hydrating(&self) -> usize {
        self.hydrating.taken()
    }

    /// Whether no message waits for anybody. Looks at every user.
    pub(crate) fn is_quiet(&self) -> bool {
        self.users.iter().all(|entry| matches!(entry.value(), Entry::Live(live) if live.cell.is_quiet()))
    }
}

fn is_of(entry: &Entry, cell: &Arc<HeadCell>) -> bool {
    matches!(entry, Entry::Live(live) if Arc::ptr_eq(&live.cell, cell))
}
