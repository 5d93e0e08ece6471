//! The RosterActor: one a shard, the way in for outcomes, hydrated users and ticks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::local::{Local, ShardEvent};
use crate::shared::Shared;

/// How many events are dealt with before the shard's other tasks get their turn.
const BURST: usize = 16;

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
        let options = &self.local.shared.options;
        context.set_mailbox_capacity(options.roster_mailbox_capacity);
        context.run_interval(options.tick, |actor, context| actor.handle(SweepTick, context));
        if let Some(events) = self.events.take() {
            context.spawn(drain(Rc::clone(&self.local), events).into_actor(self));
        }
    }
}

async fn drain(local: Rc<Local>, mut events: UnboundedReceiver<ShardEvent>) {
    let mut burst = Vec::with_capacity(BURST);
    while events.recv_many(&mut burst, BURST).await > 0 {
        for event in burst.drain(..) {
            guard("an event", || local.handle(event));
        }
        tokio::task::yield_now().await;
    }
}

/// Time has passed: idle actors, a new day, a new policy.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct SweepTick;

impl Handler<SweepTick> for RosterActor {
    type Result = ();

    fn handle(&mut self, _: SweepTick, _: &mut Self::Context) {
        guard("a tick", || self.local.on_tick());
    }
}

/// A panic that no one actor is to blame for must not end the shard.
fn guard(what: &str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("{what} of a shard panicked");
    }
}

impl Local {
    /// What a tick does.
    pub(crate) fn on_tick(&self) {
        self.tick.set(self.tick.get().wrapping_add(1));
        self.tell_held();
        self.roll_day();
        self.sweep();
        self.make_room();
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
