//! The map from users to actors, and the way of every request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Addr;
use actix::prelude::SendError;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as MapEntry;
use domain::id::UserId;

use crate::commit::CommitQueue;
use crate::head::HeadCell;
use crate::profile::{ProfileActor, Request};

/// The roster. A request to a live actor is one look-up and one `try_send`; a request to a user without one waits in
/// the map itself, in arrival order, until the user is hydrated.
///
/// Order per user is kept: a message goes out while its shard of the map is locked, and the waiting messages are
/// handed to the new actor in the same step that makes it visible.
#[derive(Debug)]
pub(crate) struct Roster {
    users: DashMap<UserId, Entry>,
    hydrating: AtomicUsize,
    max_hydrating: usize,
    max_waiting: usize,
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
    fn send(&self, request: Request) -> Result<(), SendError<Request>> {
        self.cell.message_in();
        self.addr.try_send(request).inspect_err(|_| self.cell.message_out())
    }
}

impl Roster {
    /// `max_hydrating` users may wait to be loaded, with `max_waiting` requests each.
    pub(crate) fn new(max_hydrating: usize, max_waiting: usize) -> Self {
        Self { users: DashMap::new(), hydrating: AtomicUsize::new(0), max_hydrating, max_waiting }
    }

    /// Takes a request to its user's actor, or lets it wait for one. Never blocks; a full queue hands it back.
    pub(crate) fn dispatch(&self, user: UserId, request: Request, commits: &CommitQueue) -> Result<(), Box<Request>> {
        let request = match self.users.get(&user).as_deref() {
            Some(Entry::Live(live)) => match live.send(request) {
                Ok(()) => return Ok(()),
                Err(SendError::Full(request)) => return Err(Box::new(request)),
                Err(SendError::Closed(request)) => request,
            },
            _ => request,
        };
        match self.users.entry(user) {
            MapEntry::Vacant(vacant) => {
                if !self.reserve() {
                    return Err(Box::new(request));
                }
                vacant.insert(Entry::Hydrating(vec![request]));
                commits.load(user);
            }
            MapEntry::Occupied(mut occupied) => match occupied.get_mut() {
                Entry::Hydrating(waiting) if waiting.len() >= self.max_waiting => return Err(Box::new(request)),
                Entry::Hydrating(waiting) => waiting.push(request),
                Entry::Live(live) => match live.send(request) {
                    Ok(()) => {}
                    Err(SendError::Full(request)) => return Err(Box::new(request)),
                    // A panic ended it: hydrate again.
                    Err(SendError::Closed(request)) => {
                        live.cell.retire();
                        if !self.reserve() {
                            occupied.remove();
                            return Err(Box::new(request));
                        }
                        occupied.insert(Entry::Hydrating(vec![request]));
                        commits.load(user);
                    }
                },
            },
        }
        Ok(())
    }

    /// Tells a live actor something that nobody else needs to know. Whether it will hear of it.
    pub(crate) fn tell(&self, user: &UserId, request: Request) -> bool {
        match self.users.get(user).as_deref() {
            Some(Entry::Live(live)) => live.send(request).is_ok(),
            _ => false,
        }
    }

    fn reserve(&self) -> bool {
        let one_more = |count: usize| (count < self.max_hydrating).then_some(count + 1);
        self.hydrating.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Ends a user's hydration: `admit` gets the waiting requests and makes the actor; with `None` the user is
    /// nobody's again, and so they are when it panics.
    pub(crate) fn admit(&self, user: UserId, admit: impl FnOnce(Vec<Request>) -> Option<Live>) {
        let MapEntry::Occupied(mut occupied) = self.users.entry(user) else { return };
        let Entry::Hydrating(waiting) = occupied.get_mut() else { return };
        self.hydrating.fetch_sub(1, Ordering::Relaxed);
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
        self.hydrating.load(Ordering::Relaxed)
    }

    /// Whether no message waits for anybody. Looks at every user.
    pub(crate) fn is_quiet(&self) -> bool {
        self.users.iter().all(|entry| matches!(entry.value(), Entry::Live(live) if live.cell.is_quiet()))
    }
}

fn is_of(entry: &Entry, cell: &Arc<HeadCell>) -> bool {
    matches!(entry, Entry::Live(live) if Arc::ptr_eq(&live.cell, cell))
}
