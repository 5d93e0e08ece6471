//! Users that were loaded, or were warm, get their actors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::StoreError;
use domain::record::DecodeError;
use domain::state::UserState;

use super::actor::ProfileActor;
use super::shard::Shard;
use crate::compact::{self, Compact};
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::load::{HydratedUser, StoredHead};
use crate::profile::{FirstHead, ProfileState};
use crate::request::WaitingRequests;
use crate::roster::{LiveActor, WarmStart};

impl Shard {
    /// Makes the actor of a user that was loaded. A user that does not exist gets one only if it is written to.
    pub(super) fn admit(self: &Rc<Self>, hydrated: HydratedUser) {
        let HydratedUser { user, head, newest_of_damaged } = hydrated;
        let roster = &self.runtime.roster;
        let head = match head {
            Ok(head) => {
                self.after_load(&user, head.as_ref());
                head
            }
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Damaged { .. })) => {
                if matches!(error, StoreError::Damaged { .. }) {
                    // Loading it again would not help.
                    self.runtime.missed.remove(&user);
                }
                return roster.admit(user, |waiting| match newest_of_damaged.filter(|_| waiting.has_erasure()) {
                    Some(newest) => {
                        let cell = self.runtime.services.cache.adopt(&user, None);
                        Some(self.make_live(user, cell, FirstHead::Damaged(newest), waiting))
                    }
                    None => refuse(*waiting, ReadError::Unavailable),
                });
            }
        };
        roster.admit(user, |waiting| {
            let state = head.as_ref().and_then(StoredHead::state);
            if state.is_none() && !waiting.has_write() {
                return refuse(*waiting, if head.is_some() { ReadError::Erased } else { ReadError::Unknown });
            }
            let services = &self.runtime.services;
            services.metrics.actors_hydrated.increment(1);
            let cell = services.cache.adopt(&user, state);
            Some(self.make_live(user, cell, head.into(), waiting))
        });
    }

    /// Passes the state of a user to the columns if commits of the last actor may not have reached them. No commit of the next
    /// actor has been made yet.
    fn after_load(&self, user: &UserId, head: Option<&StoredHead>) {
        if !self.runtime.missed.remove(user) {
            return;
        }
        let projection = &self.runtime.services.projection;
        match head {
            Some(StoredHead::State(row, state)) => projection.loaded(*row, state),
            Some(StoredHead::Erased(row, tombstone)) => projection.erased(*row, tombstone),
            None => {}
        }
    }

    /// Makes the actor of a warm user. If its bytes do not unpack, nothing is lost: the user is loaded from the store, with
    /// the requests that wait for it.
    pub(super) fn start_warm(self: &Rc<Self>, start: WarmStart) {
        let WarmStart { user, bytes, consent, has_views } = start;
        let services = &self.runtime.services;
        let state = match self.unpack(bytes) {
            Ok(state) => Arc::new(state),
            Err(error) => {
                services.metrics.warm_unreadable.increment(1);
                let cause: Option<&dyn std::error::Error> = error.as_ref().map(|error| error as _);
                tracing::error!(error = cause, "a warm user's state does not unpack: it is loaded from the store");
                return self.runtime.roster.load_instead(user, &services.commits);
            }
        };
        services.metrics.warm_started.increment(1);
        self.runtime.roster.admit(user, |waiting| {
            // Nothing but views can hold the cell of the last actor.
            let cell = if has_views {
                services.cache.adopt(&user, Some(&state))
            } else {
                Arc::new(HeadCell::for_warm(&state, consent))
            };
            Some(self.make_live(user, cell, FirstHead::State(state), waiting))
        });
    }

    /// Returns the state of compact bytes. The error is `None` if unpacking panicked.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests inject faults"))]
    fn unpack(&self, bytes: Compact) -> Result<UserState, Option<DecodeError>> {
        let unpack = || {
            #[cfg(test)]
            match self.unpack_fault.take() {
                Some(super::UnpackFault::NotAState) => return compact::unpack(Compact::default()),
                Some(super::UnpackFault::Panics) => panic!("injected"),
                None => {}
            }
            compact::unpack(bytes)
        };
        match catch_unwind(AssertUnwindSafe(unpack)) {
            Ok(unpacked) => unpacked.map_err(Some),
            Err(_) => Err(None),
        }
    }

    fn make_live(
        self: &Rc<Self>,
        user: UserId,
        cell: Arc<HeadCell>,
        head: FirstHead,
        waiting: Box<WaitingRequests>,
    ) -> LiveActor<ProfileActor> {
        let tick = self.tick.get();
        let make = |slot| ProfileState::new(user, slot, Arc::clone(&cell), head, waiting, tick);
        let state = self.slots.borrow_mut().insert(make);
        let addr = ProfileActor::launch(state, Rc::clone(self));
        self.count_live(1);
        LiveActor { addr, cell }
    }
}

fn refuse(waiting: WaitingRequests, error: ReadError) -> Option<LiveActor<ProfileActor>> {
    waiting.fail(error);
    None
}
