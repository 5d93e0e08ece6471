//! The RosterActor: one a shard, the way in for outcomes, hydrated users and ticks.

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::local::{Local, ShardEvent};
use super::turns;
use crate::shared::Shared;

/// Deals with what is not any one ProfileActor's. Requests do not pass through it.
pub(crate) struct RosterActor {
    local: Rc<Local>,
    events: Option<UnboundedReceiver<ShardEvent>>,
}

impl RosterActor {
    pub(crate) fn new(shared: Arc<Shared>, index: u16, events: UnboundedReceiver<ShardEvent>) -> Self {
        Self { local: Local::new(shared, index), events: Some(events) }
    }

    /// The shard, for the tests that drive it by hand.
    #[cfg(test)]
    pub(crate) fn local(&self) -> Rc<Local> {
        Rc::clone(&self.local)
    }
}

impl Actor for RosterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.local.shared.options.roster_mailbox_capacity);
        context.spawn(turns::tick(Rc::clone(&self.local)).into_actor(self));
        if let Some(events) = self.events.take() {
            context.spawn(turns::drain(Rc::clone(&self.local), events).into_actor(self));
        }
    }
}

/// Asks a shard for its counters.
#[derive(Debug, Message)]
#[rtype(result = "ShardCounters")]
pub(crate) struct Observe;

/// What a shard counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, MessageResponse)]
pub(crate) struct ShardCounters {
    pub(crate) live_actors: usize,
    pub(crate) unpacked_actors: usize,
    pub(crate) outlets: usize,
}

impl Handler<Observe> for RosterActor {
    type Result = ShardCounters;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> ShardCounters {
        let slots = self.local.slots.borrow();
        let mut counters = ShardCounters { live_actors: slots.len(), ..ShardCounters::default() };
        for core in (0..slots.positions()).filter_map(|position| slots.at(position)) {
            let core = core.borrow();
            counters.unpacked_actors += usize::from(core.is_unpacked());
            counters.outlets += core.outlets();
        }
        counters
    }
}
