//! What a shard does besides its actors' requests, piece by piece: no piece is long, and after some of them the actors
//! have their turn.

use std::rc::Rc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Local;
use super::local::ShardEvent;
use crate::slots::SlotKey;
use crate::turn::Turn;

/// Maximum number of events that are taken from the channel at once.
const BURST: usize = 16;
/// Actors that one piece of a sweep looks at.
const SWEEP_PIECE: usize = 16;

/// Deals with what comes from the commit thread and the hydration threads, in its order.
pub(super) async fn drain(local: Rc<Local>, mut events: UnboundedReceiver<ShardEvent>) {
    let (mut turn, mut burst) = (Turn::of_outcomes(), Vec::with_capacity(BURST));
    while events.recv_many(&mut burst, BURST).await > 0 {
        for event in burst.drain(..) {
            local.handle(event, &mut turn).await;
        }
    }
}

/// Looks after the shard at every tick, and at once when the policy is another one. A tick that is missed is made up for by
/// the next.
pub(super) async fn tick(local: Rc<Local>) {
    let period = local.shared.options.tick;
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = Turn::default();
    loop {
        let mut upkeep = tokio::select! {
            _ = ticks.tick() => local.begin_tick(),
            () = local.policy_changed.notified() => Upkeep { due: local.due().into_iter(), ..Upkeep::default() },
        };
        local.look_after(&mut upkeep, &mut turn).await;
    }
}

/// What a tick, or a new policy, has left to do.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Actors that hold something back from some of their subscribers.
    held_back: std::vec::IntoIter<SlotKey>,
    /// Actors whose subscribers are to follow the day and the policy.
    due: std::vec::IntoIter<SlotKey>,
    /// How many actors are to be looked at for whether they are idle.
    sweep: usize,
    make_room: bool,
}

impl Local {
    /// Deals with one event.
    pub(crate) async fn handle(self: &Rc<Self>, event: ShardEvent, turn: &mut Turn) {
        match event {
            ShardEvent::Settled(settled) => {
                for one in settled {
                    // Called on the actor's state and not sent to its mailbox, which may be full: a bounded way back
                    // would deadlock.
                    let settle = || {
                        let _: Option<()> = self.with(one.ticket().slot, |core| core.settle(self, one));
                    };
                    turn.work_guarded("an outcome", settle).await;
                }
            }
            // Once in the life of a server, and nothing is committed after it.
            ShardEvent::CommitsLost => {
                turn.work_guarded("a lost group", || self.each(|core| core.fail_pending(self))).await;
            }
            // It takes long where many users are followed, and the outcomes behind it must not wait.
            ShardEvent::PolicyChanged => self.policy_changed.notify_one(),
            ShardEvent::Passed(mark) => drop(mark),
            ShardEvent::Hydrated(users) => {
                for user in users {
                    turn.work_guarded("a hydrated user", || self.admit(user)).await;
                }
                turn.work_guarded("making room", || self.make_room()).await;
            }
        }
    }

    /// Counts a tick, and says what it has to do.
    pub(crate) fn begin_tick(&self) -> Upkeep {
        self.tick.set(self.tick.get().wrapping_add(1));
        if self.index == 0 {
            self.shared.metrics.checkpoint_lag.set(self.shared.permits.lag_bytes() as f64);
        }
        Upkeep {
            held_back: self.take_held_back().into_iter(),
            due: self.due().into_iter(),
            sweep: self.sweep_length(),
            make_room: true,
        }
    }

    pub(crate) async fn look_after(&self, upkeep: &mut Upkeep, turn: &mut Turn) {
        let mut is_more = true;
        while is_more {
            // A step that panics was one of several, too: each step takes out what it does before it does it.
            let mut was_step = true;
            turn.work_guarded("a tick", || was_step = self.step(upkeep)).await;
            is_more = was_step;
        }
    }

    /// Does one piece of what is left. `false` when nothing is.
    pub(crate) fn step(&self, upkeep: &mut Upkeep) -> bool {
        if let Some(slot) = upkeep.held_back.next() {
            self.with(slot, |core| core.tell_held(self));
        } else if let Some(slot) = upkeep.due.next() {
            self.refresh(slot);
        } else if upkeep.sweep > 0 {
            let piece = upkeep.sweep.min(SWEEP_PIECE);
            upkeep.sweep -= piece;
            self.sweep(piece);
        } else if std::mem::take(&mut upkeep.make_room) {
            self.make_room();
        } else {
            return false;
        }
        true
    }

    /// A whole tick at once, for tests that make ticks by hand.
    #[cfg(test)]
    pub(crate) fn on_tick(&self) {
        let mut upkeep = self.begin_tick();
        while self.step(&mut upkeep) {}
    }
}
