//! The RosterActor: one for each shard. It runs the tasks that deal with the shard's events and ticks.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::shard::Shard;
use super::{Runtime, turns};
use crate::shard_event::ShardEvent;

/// Deals with everything in a shard that is not for one ProfileActor. Requests do not pass through it.
pub(crate) struct RosterActor {
    shard: Rc<Shard>,
    events: Option<UnboundedReceiver<ShardEvent>>,
}

impl RosterActor {
    pub(crate) fn new(runtime: Arc<Runtime>, index: u16, events: UnboundedReceiver<ShardEvent>) -> Self {
        Self { shard: Shard::new(runtime, index), events: Some(events) }
    }

    /// Returns the shard, for tests that run it by hand.
    #[cfg(test)]
    pub(crate) fn shard(&self) -> Rc<Shard> {
        Rc::clone(&self.shard)
    }
}

impl Actor for RosterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.shard.runtime.services.options.roster_mailbox_capacity);
        context.spawn(turns::tick(Rc::clone(&self.shard)).into_actor(self));
        if let Some(events) = self.events.take() {
            context.spawn(turns::drain(Rc::clone(&self.shard), events).into_actor(self));
        }
    }
}

/// Asks a shard for its counters.
#[derive(Debug, Message)]
#[rtype(result = "ShardCounters")]
pub(crate) struct Observe;

/// Counters of one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, MessageResponse)]
pub(crate) struct ShardCounters {
    pub(crate) live_actors: usize,
    pub(crate) unpacked_actors: usize,
    pub(crate) outlets: usize,
}

impl Handler<Observe> for RosterActor {
    type Result = ShardCounters;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> ShardCounters {
        let slots = self.shard.slots.borrow();
        let mut counters = ShardCounters { live_actors: slots.len(), ..ShardCounters::default() };
        for state in (0..slots.capacity()).filter_map(|index| slots.at(index)) {
            let state = state.borrow();
            counters.unpacked_actors += usize::from(state.is_unpacked());
            counters.outlets += state.outlets();
        }
        counters
    }
}
