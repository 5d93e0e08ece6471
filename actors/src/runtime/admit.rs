//! Users that were loaded get their actors.

use std::rc::Rc;
use std::sync::Arc;

use domain::port::store::StoreError;

use super::actor::ProfileActor;
use super::shard::Shard;
use crate::error::ReadError;
use crate::load::HydratedUser;
use crate::profile::ProfileState;
use crate::request::Request;
use crate::roster::LiveActor;

impl Shard {
    /// Makes the actor of a user that was loaded. A user that does not exist gets one only if it is written to.
    pub(super) fn admit(self: &Rc<Self>, hydrated: HydratedUser) {
        let HydratedUser { user, state } = hydrated;
        let roster = &self.runtime.roster;
        let state = match state {
            Ok(state) => state,
            Err(StoreError::Unavailable { .. } | StoreError::Damaged { .. }) => {
                return roster.admit(user, |waiting| refuse(waiting, ReadError::Unavailable));
            }
        };
        roster.admit(user, |waiting| {
            if state.is_none() && !waiting.iter().any(Request::is_write) {
                return refuse(waiting, ReadError::Unknown);
            }
            let services = &self.runtime.services;
            let cell = services.cache.adopt(&user, state.as_deref());
            let tick = self.tick.get();
            let make = |slot| ProfileState::new(user, slot, Arc::clone(&cell), state, waiting, tick);
            let state = self.slots.borrow_mut().insert(make);
            let addr = ProfileActor::launch(state, Rc::clone(self));
            self.count_live(1);
            services.metrics.actors_hydrated.increment(1);
            Some(LiveActor { addr, cell })
        });
    }
}

fn refuse(waiting: Vec<Request>, error: ReadError) -> Option<LiveActor<ProfileActor>> {
    waiting.into_iter().for_each(|request| request.fail(error));
    None
}
