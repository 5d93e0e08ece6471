//! The work of a shard besides its actors' requests. It is done in short pieces, so that the actors have their turn in
//! between.

use std::rc::Rc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::shard::Shard;
use crate::discard::DiscardedUser;
use crate::profile::AfterSettle;
use crate::shard_event::ShardEvent;
use crate::slots::SlotKey;
use crate::turn::Turn;

/// Maximum number of events that are taken from the channel at once.
const MAX_BURST: usize = 16;
/// Maximum number of users that a tick has loaded because commits of theirs may not have reached the columns.
const MAX_RELOADS: usize = 64;
/// Number of actors that one piece of a sweep looks at.
const SWEEP_PIECE: usize = 16;

/// Deals with the events of a shard, in the order of the channel.
pub(super) async fn drain(shard: Rc<Shard>, mut events: UnboundedReceiver<ShardEvent>) {
    let (mut turn, mut burst) = (Turn::for_outcomes(), Vec::with_capacity(MAX_BURST));
    while events.recv_many(&mut burst, MAX_BURST).await > 0 {
        for event in burst.drain(..) {
            shard.handle(event, &mut turn).await;
        }
    }
}

/// Does the upkeep of a shard at every tick, and the part that follows the policy as soon as the policy changes. A late
/// tick moves the next ones.
pub(super) async fn tick(shard: Rc<Shard>) {
    let period = shard.runtime.services.options.tick;
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = Turn::default();
    loop {
        let mut upkeep = tokio::select! {
            _ = ticks.tick() => shard.begin_tick(),
            () = shard.policy_changed.notified() => Upkeep { due: shard.due().into_iter(), ..Upkeep::default() },
        };
        shard.do_upkeep(&mut upkeep, &mut turn).await;
    }
}

/// The upkeep that is left to do.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Actors with deferred patches.
    deferred: std::vec::IntoIter<SlotKey>,
    /// Actors whose subscribers must follow the day and the policy.
    due: std::vec::IntoIter<SlotKey>,
    /// Number of actors that are still to be checked for idleness.
    sweep: usize,
    enforce_max_actors: bool,
}

impl Shard {
    /// Deals with one event.
    pub(crate) async fn handle(self: &Rc<Self>, event: ShardEvent, turn: &mut Turn) {
        match event {
            ShardEvent::CommitsSettled(outcomes) => {
                for outcome in outcomes {
                    // Called on the actor's state and not sent to its mailbox, which may be full: a bounded way back
                    // would deadlock.
                    let settle = || {
                        let _: Option<()> = self.with(outcome.ticket().slot, |state, environment| {
                            if state.settle(environment, outcome) == AfterSettle::Detach {
                                self.give_up(state);
                            }
                        });
                    };
                    turn.work_guarded("settling a commit", settle).await;
                }
            }
            // At most once in the life of a server: nothing is committed after it.
            ShardEvent::CommitsLost => {
                let fail = || self.for_each(|state, environment| state.fail_pending(environment));
                turn.work_guarded("failing a lost group", fail).await;
            }
            ShardEvent::WarmUserNeeded(start) => {
                turn.work_guarded("starting a warm user", || self.start_warm(start)).await;
            }
            // Left to the tick task: it takes long if many users are followed, and the outcomes behind it must not wait.
            ShardEvent::PolicyChanged => self.policy_changed.notify_one(),
            ShardEvent::PassivationRequested(user, answer) => {
                let _ = answer.send(self.passivate_user(&user));
            }
            ShardEvent::DiscardRequested(user, answer) => {
                let mut discarded = DiscardedUser::new(user);
                turn.work_guarded("ending an actor", || self.discard_user(&user, &mut discarded)).await;
                // If nobody waits any more, the subscribers are told at once.
                let _ = answer.send(discarded);
            }
            ShardEvent::HorizonMark(mark) => drop(mark),
            ShardEvent::UsersHydrated(users) => {
                for user in users {
                    turn.work_guarded("admitting a hydrated user", || self.admit(user)).await;
                }
                turn.work_guarded("passivating the longest idle", || self.enforce_max_actors()).await;
            }
        }
    }

    /// Counts a tick, and returns its upkeep.
    pub(crate) fn begin_tick(&self) -> Upkeep {
        self.tick.set(self.tick.get().wrapping_add(1));
        if self.index == 0 {
            let services = &self.runtime.services;
            services.metrics.checkpoint_lag.set(services.permits.lag_bytes() as f64);
            let warm = self.runtime.roster.warm_counters();
            services.metrics.warm_users.set(warm.users as f64);
            services.metrics.warm_bytes.set(warm.bytes as f64);
            self.runtime.load_missed(self.runtime.missed.some(MAX_RELOADS));
        }
        Upkeep {
            deferred: self.take_deferred().into_iter(),
            due: self.due().into_iter(),
            sweep: self.sweep_length(),
            enforce_max_actors: true,
        }
    }

    /// Does all of the upkeep, with pauses.
    pub(crate) async fn do_upkeep(&self, upkeep: &mut Upkeep, turn: &mut Turn) {
        let mut is_more = true;
        while is_more {
            // After a panic there may be more: each piece is taken out of the upkeep before it is done.
            let mut was_step = true;
            turn.work_guarded("doing its upkeep", || was_step = self.step(upkeep)).await;
            is_more = was_step;
        }
    }

    /// Does one piece of the upkeep. Returns `false` when nothing is left.
    fn step(&self, upkeep: &mut Upkeep) -> bool {
        if let Some(slot) = upkeep.deferred.next() {
            self.with(slot, |state, environment| state.flush_deferred(environment));
        } else if let Some(slot) = upkeep.due.next() {
            self.refresh(slot);
        } else if upkeep.sweep > 0 {
            let piece = upkeep.sweep.min(SWEEP_PIECE);
            upkeep.sweep -= piece;
            self.sweep(piece);
        } else if std::mem::take(&mut upkeep.enforce_max_actors) {
            self.enforce_max_actors();
        } else {
            return false;
        }
        true
    }

    /// Returns the actors with live subscribers that must follow a new day or policy now.
    fn due(&self) -> Vec<SlotKey> {
        let services = &self.runtime.services;
        let watched = || {
            let slots = self.slots.borrow();
            let states = (0..slots.capacity()).filter_map(|index| slots.at(index));
            states.filter(|state| state.borrow().outlets() > 0).map(|state| state.borrow().slot()).collect()
        };
        self.roller.borrow_mut().due(services.today(), &services.policy.load_full(), watched)
    }

    /// Has an actor's subscribers follow the day and the policy. If the system is too busy for the day, the actor is due
    /// again at a later tick.
    fn refresh(&self, slot: SlotKey) {
        if self.with(slot, |state, environment| state.refresh_outlets(environment)) == Some(false) {
            self.roller.borrow_mut().again(slot);
        }
    }

    /// Does a whole tick at once, for tests that make the ticks by hand.
    #[cfg(test)]
    pub(crate) fn on_tick(&self) {
        let mut upkeep = self.begin_tick();
        while self.step(&mut upkeep) {}
    }
}
