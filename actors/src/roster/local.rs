//! A shard: what its actors share, all on one thread.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::port::store::StoreError;
use tokio::sync::Notify;

use super::map::Live;
use crate::commit::Settled;
use crate::compact::Compactor;
use crate::day_roller::DayRoller;
use crate::error::ReadError;
use crate::follower::Mark;
use crate::hot_ring::HotRing;
use crate::hydration::Hydrated;
use crate::profile::{Core, ProfileActor, Request};
use crate::shared::Shared;
use crate::slots::{SlotKey, Slots};

/// What comes to a shard from the commit thread and the hydration threads.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// The outcomes of one group.
    Settled(Vec<Settled>),
    /// The outcomes of one group will never come.
    CommitsLost,
    /// Users that were loaded.
    Hydrated(Vec<Hydrated>),
    /// There is a new policy.
    PolicyChanged,
    /// All outcomes up to a place in the journal have come before this.
    Passed(Mark),
}

/// A shard's own state. Actors and the RosterActor of the shard hold it together; no other thread sees it.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: u16,
    pub(crate) slots: RefCell<Slots>,
    pub(crate) roller: RefCell<DayRoller>,
    /// Ticks since the start.
    pub(crate) tick: Cell<u32>,
    /// The position that the sweep goes on from.
    pub(crate) hand: Cell<usize>,
    hot: RefCell<HotRing>,
    /// The actors that hold something back from a class of subscribers.
    held_back: RefCell<Vec<SlotKey>>,
    pub(crate) compactor: Compactor,
    /// Tells the shard's tick task that there is a new policy.
    pub(super) policy_changed: Notify,
}

impl Local {
    pub(crate) fn new(shared: Arc<Shared>, index: u16) -> Rc<Self> {
        let hot = HotRing::new(shared.options.hot_actors_per_shard);
        let roller = DayRoller::new(shared.today(), shared.policy.load_full(), shared.options.roll_ticks());
        let compactor = Compactor::new(shared.options.dictionary);
        Rc::new(Self {
            shared,
            index,
            slots: RefCell::default(),
            roller: RefCell::new(roller),
            tick: Cell::new(0),
            hand: Cell::new(0),
            hot: RefCell::new(hot),
            held_back: RefCell::default(),
            compactor,
            policy_changed: Notify::new(),
        })
    }

    /// Runs `with` on an actor's state. If it panics, that actor ends and no other is harmed.
    pub(crate) fn with<R>(&self, slot: SlotKey, with: impl FnOnce(&mut Core) -> R) -> Option<R> {
        let core = self.slots.borrow().get(slot)?;
        match catch_unwind(AssertUnwindSafe(|| with(&mut core.borrow_mut()))) {
            Ok(result) => Some(result),
            Err(_) => {
                tracing::error!("a profile actor's state panicked: it ends");
                core.borrow_mut().detach(self);
                None
            }
        }
    }

    /// Runs `each` on every actor's state.
    pub(crate) fn each(&self, each: impl Fn(&mut Core)) {
        for position in 0..self.slots.borrow().positions() {
            let core = self.slots.borrow().at(position);
            let slot = core.map(|core| core.borrow().slot());
            slot.and_then(|slot| self.with(slot, &each));
        }
    }

    /// Keeps an actor's state unpacked, and packs another's where the ring is full.
    pub(crate) fn keep_hot(&self, slot: SlotKey) {
        let slots = self.slots.borrow();
        self.hot.borrow_mut().push(slot, |other| match slots.get(other) {
            None => true,
            Some(core) => core.try_borrow_mut().is_ok_and(|mut core| core.cool(&self.compactor)),
        });
    }

    /// Has an actor tell at the next tick what it holds back from some of its subscribers.
    pub(crate) fn tell_held_soon(&self, slot: SlotKey) {
        self.held_back.borrow_mut().push(slot);
    }

    /// The actors that hold something back, which is to go out now.
    pub(super) fn take_held_back(&self) -> Vec<SlotKey> {
        std::mem::take(&mut *self.held_back.borrow_mut())
    }

    /// Makes the actor of a user that was loaded.
    pub(super) fn admit(self: &Rc<Self>, hydrated: Hydrated) {
        let Hydrated { user, state } = hydrated;
        let state = match state {
            Ok(state) => state,
            Err(error) => return self.shared.roster.admit(user, |waiting| refuse(waiting, &error)),
        };
        self.shared.roster.admit(user, |waiting| {
            if state.is_none() && !waiting.iter().any(Request::is_write) {
                waiting.into_iter().for_each(|request| request.fail(ReadError::Unknown));
                return None;
            }
            let cell = self.shared.cache.adopt(&user, state.as_deref());
            let core = self
                .slots
                .borrow_mut()
                .insert(|slot| Core::new(user, slot, Arc::clone(&cell), state, waiting, self.tick.get()));
            let addr = ProfileActor::launch(core, Rc::clone(self));
            self.count(1);
            self.shared.metrics.actors_hydrated.increment(1);
            Some(Live { addr, cell })
        });
    }

    /// Counts the live actors of the system.
    pub(crate) fn count(&self, change: isize) {
        let live = self.shared.live_actors.fetch_add(change as usize, Ordering::Relaxed);
        self.shared.metrics.actors_live.set(live.wrapping_add(change as usize) as f64);
    }

    /// Takes a request anew to whoever is the user's actor now.
    pub(crate) fn redirect(&self, request: Request, user: domain::id::UserId) {
        if let Err(request) = self.shared.dispatch(user, request) {
            request.fail(ReadError::Busy);
        }
    }
}

fn refuse(waiting: Vec<Request>, error: &StoreError) -> Option<Live> {
    let answer = match error {
        StoreError::Unavailable { .. } | StoreError::Damaged { .. } => ReadError::Unavailable,
    };
    waiting.into_iter().for_each(|request| request.fail(answer));
    None
}
