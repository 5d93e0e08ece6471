//! A shard: the state that its actors share, all on one thread.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::id::UserId;
use tokio::sync::Notify;

use super::Runtime;
use crate::day_roller::DayRoller;
use crate::discard::DiscardedUser;
use crate::error::ReadError;
use crate::hot_ring::HotRing;
use crate::profile::{Effects, Environment, ProfileState};
use crate::request::Request;
use crate::roster::WarmUser;
use crate::slots::{SlotKey, Slots};

/// The state of one shard, owned jointly by its actors and its RosterActor. No other thread sees it.
pub(crate) struct Shard {
    pub(crate) runtime: Arc<Runtime>,
    pub(super) index: u16,
    pub(crate) slots: RefCell<Slots<ProfileState>>,
    pub(super) roller: RefCell<DayRoller>,
    /// The number of ticks since the start.
    pub(super) tick: Cell<u32>,
    /// The index that the sweep continues at.
    pub(super) hand: Cell<usize>,
    hot: RefCell<HotRing>,
    /// The actors with deferred patches.
    deferred: RefCell<Vec<SlotKey>>,
    /// Wakes the shard's tick task when there is a new policy.
    pub(super) policy_changed: Notify,
    /// What is wrong with the next bytes of a warm user.
    #[cfg(test)]
    pub(crate) unpack_fault: Cell<Option<UnpackFault>>,
}

/// What can be wrong with the bytes of a warm user.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnpackFault {
    /// They are not a state.
    NotAState,
    /// Unpacking panics.
    Panics,
}

impl Shard {
    pub(super) fn new(runtime: Arc<Runtime>, index: u16) -> Rc<Self> {
        let services = &runtime.services;
        let hot = HotRing::new(services.options.hot_actors_per_shard);
        let roller = DayRoller::new(services.today(), services.policy.load_full(), services.options.roll_ticks());
        Rc::new(Self {
            runtime,
            index,
            slots: RefCell::default(),
            roller: RefCell::new(roller),
            tick: Cell::new(0),
            hand: Cell::new(0),
            hot: RefCell::new(hot),
            deferred: RefCell::default(),
            policy_changed: Notify::new(),
            #[cfg(test)]
            unpack_fault: Cell::default(),
        })
    }

    /// Returns what an actor's state needs of the shard and the system.
    pub(super) fn environment(&self) -> Environment<'_> {
        Environment { services: &self.runtime.services, shard: self.index, tick: self.tick.get() }
    }

    /// Runs `work` on an actor's state, and carries out its effects. If it panics, that actor ends, and no other is
    /// affected. Returns `None` then, and if the actor is gone.
    pub(super) fn with<R>(
        &self,
        slot: SlotKey,
        work: impl FnOnce(&mut ProfileState, &Environment<'_>) -> R,
    ) -> Option<R> {
        let state = self.slots.borrow().get(slot)?;
        let guarded = || {
            let mut state = state.borrow_mut();
            let result = work(&mut state, &self.environment());
            self.carry_out(&mut state);
            result
        };
        match catch_unwind(AssertUnwindSafe(guarded)) {
            Ok(result) => Some(result),
            Err(_) => {
                tracing::error!("a profile actor's state panicked: it ends");
                self.give_up(&mut state.borrow_mut());
                None
            }
        }
    }

    /// Runs `work` on the state of every actor. One that panics ends, and the others have their turn.
    pub(crate) fn for_each(&self, work: impl Fn(&mut ProfileState, &Environment<'_>)) {
        // Not borrowed for as long as the loop runs: a state that panics frees its slot.
        let capacity = self.slots.borrow().capacity();
        for index in 0..capacity {
            let state = self.slots.borrow().at(index);
            let slot = state.map(|state| state.borrow().slot());
            slot.and_then(|slot| self.with(slot, &work));
        }
    }

    /// Deals with one request of an actor.
    pub(super) fn handle_request(&self, state: &mut ProfileState, request: Request) {
        if state.is_detached() {
            return self.redirect(*state.user(), request);
        }
        state.handle(&self.environment(), request);
        self.carry_out(state);
    }

    /// Carries out what a state has asked for since the last time.
    fn carry_out(&self, state: &mut ProfileState) {
        let Effects { keep_hot, flush_soon } = state.take_effects();
        if keep_hot {
            self.keep_hot(state.slot());
        }
        if flush_soon {
            self.deferred.borrow_mut().push(state.slot());
        }
    }

    /// Adds an actor to the hot ring. If the ring is full, another actor leaves it.
    fn keep_hot(&self, slot: SlotKey) {
        self.hot.borrow_mut().push(slot, |other| {
            let other = self.slots.borrow().get(other);
            other.is_none_or(|state| state.try_borrow_mut().is_ok_and(|mut state| self.cool(&mut state)))
        });
    }

    /// Takes an actor out of the hot ring, unless it was used since the ring's hand last passed. Returns whether it did.
    ///
    /// If nothing needs the actor, it ends at once, and the user is warm. An actor with subscribers goes on with a packed
    /// head. One with a message or a pending commit goes on as it is, and comes back into the ring with the message, or with
    /// the outcome: the hand need not pass it again and again. One that is needed in another way stays in the ring, as
    /// nothing would bring it back.
    fn cool(&self, state: &mut ProfileState) -> bool {
        if state.take_second_chance() {
            return false;
        }
        let comes_back = state.is_pending() || state.cell().has_messages();
        let leaves = comes_back || state.pack_for_subscribers() || self.passivate(state);
        if leaves {
            state.leave_ring();
        }
        leaves
    }

    /// Takes the actors whose deferred patches are due now.
    pub(super) fn take_deferred(&self) -> Vec<SlotKey> {
        std::mem::take(&mut *self.deferred.borrow_mut())
    }

    /// Ends an actor if nothing needs it: nothing is pending, it has no outlet, and no message waits. The user becomes warm.
    /// Its views stay valid, as its head is the newest. Returns whether it ended.
    pub(super) fn passivate(&self, state: &mut ProfileState) -> bool {
        // The second test saves the packing; the roster tests it again under its lock.
        if !state.is_idle() || !state.cell().is_quiet() {
            return false;
        }
        let consent = state.cell().consent_bits();
        let packed = state.packed();
        let warm = packed.map(|(bytes, sequence)| WarmUser::new(bytes, sequence, self.index, consent));
        let Some(dropped) = self.runtime.roster.passivate(state.user(), state.cell(), warm) else { return false };
        self.end(state);
        let metrics = &self.runtime.services.metrics;
        metrics.actors_passivated.increment(1);
        if dropped > 0 {
            metrics.warm_dropped.increment(dropped as u64);
        }
        true
    }

    /// Passivates the actor of a user, if nothing waits for it. Returns whether it ended. Looks at every actor, so it is
    /// for operators only.
    pub(crate) fn passivate_user(&self, user: &UserId) -> bool {
        self.find(user).is_some_and(|state| self.passivate(&mut state.borrow_mut()))
    }

    /// Ends the actor of a user, whatever waits for it, and keeps its subscribers in `discarded`. Looks at every actor, so it is
    /// for operators only.
    pub(super) fn discard_user(&self, user: &UserId, discarded: &mut DiscardedUser) {
        let Some(state) = self.find(user) else { return };
        let mut state = state.borrow_mut();
        // Before anything that may panic.
        discarded.add(state.take_outlets());
        self.detach(&mut state);
    }

    /// Returns the state of a user's actor. Looks at every actor.
    fn find(&self, user: &UserId) -> Option<Rc<RefCell<ProfileState>>> {
        let states: Vec<_> = {
            let slots = self.slots.borrow();
            (0..slots.capacity()).filter_map(|index| slots.at(index)).collect()
        };
        states.into_iter().find(|state| state.borrow().user() == user)
    }

    /// Cuts an actor off from the roster, its views and its subscribers. Pending commits finish or fail by themselves;
    /// callers that wait for them are answered busy. The actix actor ends with its last address.
    pub(super) fn detach(&self, state: &mut ProfileState) {
        if state.is_pending() {
            self.give_up(state);
        } else {
            self.cut_off(state);
        }
    }

    /// Detaches an actor that may not have dealt with all commits of its user. The user is loaded again, for the columns.
    pub(super) fn give_up(&self, state: &mut ProfileState) {
        if !state.is_detached() {
            // Before the next actor can begin.
            self.runtime.missed.add(*state.user());
            self.cut_off(state);
            self.runtime.load_missed(vec![*state.user()]);
        }
    }

    fn cut_off(&self, state: &mut ProfileState) {
        if !state.is_detached() {
            state.cell().retire();
            self.runtime.roster.remove(state.user(), state.cell());
            self.end(state);
        }
    }

    /// Gives up the state of an actor that the roster does not hold any more.
    fn end(&self, state: &mut ProfileState) {
        self.slots.borrow_mut().remove(state.slot());
        self.count_live(-1);
        state.detach();
    }

    /// Adds to the number of live actors of the system.
    pub(super) fn count_live(&self, change: isize) {
        let live = self.runtime.live_actors.fetch_add(change as usize, Ordering::Relaxed);
        self.runtime.services.metrics.actors_live.set(live.wrapping_add(change as usize) as f64);
    }

    /// Sends a request of a detached actor to the user's next actor, which may be live by now.
    fn redirect(&self, user: UserId, request: Request) {
        // The next actor has outlets of its own.
        if matches!(request, Request::PruneOutlets | Request::Reload) {
            return;
        }
        if let Err(request) = self.runtime.dispatch(user, request) {
            request.fail(ReadError::Busy);
        }
    }
}
