//! The state of a ProfileActor: the committed head and the chain of what is pending on it.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::id::UserId;
use domain::state::UserState;
use smallvec::SmallVec;

use super::outlets::Outlets;
use super::request::Request;
use crate::compact::{Compact, Compactor};
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::reply::{Reply, Status};
use crate::roster::Local;
use crate::slots::SlotKey;

/// One user's live state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) user: UserId,
    pub(super) slot: SlotKey,
    pub(super) cell: Arc<HeadCell>,
    head: Head,
    pub(super) pending: VecDeque<Pending>,
    pub(super) outlets: Option<Box<Outlets>>,
    /// What came while the user was hydrated, the first last.
    waiting: Vec<Request>,
    /// The shard's tick of the last request.
    used_at: u32,
    in_ring: bool,
    used_since_hand: bool,
    detached: bool,
}

/// The committed state.
#[derive(Debug)]
enum Head {
    /// Nothing was ever committed.
    Unborn,
    /// As compact bytes: how idle actors keep it.
    Packed(Compact),
    /// Ready for use.
    Unpacked(Arc<UserState>),
}

/// A state that waits for the journal's word, and those who wait for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) state: Arc<UserState>,
    pub(super) waiters: SmallVec<[Waiter; 1]>,
}

/// What one user's actor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserCounters {
    /// States that wait for the journal.
    pub pending: usize,
    /// Live subscriptions.
    pub outlets: usize,
    /// Whether the state is ready for use, and not in its compact form.
    pub is_unpacked: bool,
}

/// Who waits for a pending state.
#[derive(Debug)]
pub(super) enum Waiter {
    /// An event whose answer was computed from it.
    Event(Reply, Status),
    /// A read that needs it.
    Read(Box<Request>),
}

impl Core {
    pub(crate) fn new(
        user: UserId,
        slot: SlotKey,
        cell: Arc<HeadCell>,
        state: Option<Arc<UserState>>,
        mut waiting: Vec<Request>,
        tick: u32,
    ) -> Self {
        // They count as messages until they are handled: see `Profiles::stop`.
        cell.messages_in(waiting.len());
        waiting.reverse();
        Self {
            user,
            slot,
            cell,
            head: state.map_or(Head::Unborn, Head::Unpacked),
            pending: VecDeque::new(),
            outlets: None,
            waiting,
            used_at: tick,
            in_ring: false,
            used_since_hand: false,
            detached: false,
        }
    }

    /// Deals with one request.
    pub(crate) fn handle(&mut self, local: &Local, request: Request) {
        if self.detached {
            // Another incarnation may be live by now: resolve again. It has outlets of its own.
            return match request {
                Request::PruneOutlets => {}
                request => local.redirect(request, self.user),
            };
        }
        self.used_at = local.tick.get();
        self.keep_hot(local);
        self.answer(local, request);
    }

    pub(super) fn answer(&mut self, local: &Local, request: Request) {
        match request {
            Request::ApplyFeedEvent(request) => self.apply_event(local, request),
            Request::WriteConsent(request) => self.write_consent(local, request),
            Request::GetView(request) => self.get_view(local, request),
            Request::GetCompleteness(request) => self.get_completeness(local, request),
            Request::OpenOutlet(request) => self.open_outlet(local, request),
            Request::PruneOutlets => self.prune_outlets(),
            Request::WakeUp(flight) => drop(flight),
            Request::Observe(answer) => drop(answer.send(self.observe())),
            #[cfg(test)]
            Request::Panic => panic!("injected"),
        }
    }

    fn observe(&self) -> UserCounters {
        UserCounters { pending: self.pending.len(), outlets: self.outlets(), is_unpacked: self.is_unpacked() }
    }

    /// The committed state.
    ///
    /// # Panics
    /// If the packed bytes, which are this actor's own, do not unpack: the actor ends, and the next request hydrates
    /// the user from the store.
    pub(super) fn head(&mut self, local: &Local) -> Option<Arc<UserState>> {
        if let Head::Packed(packed) = &mut self.head {
            match local.compactor.unpack(&std::mem::take(packed)) {
                Ok(state) => self.set_head(local, Arc::new(state)),
                Err(error) => panic!("a state that was packed here does not unpack: {error}"),
            }
        }
        match &self.head {
            Head::Unpacked(state) => Some(Arc::clone(state)),
            Head::Unborn | Head::Packed(_) => None,
        }
    }

    pub(super) fn set_head(&mut self, local: &Local, state: Arc<UserState>) {
        self.head = Head::Unpacked(state);
        self.keep_hot(local);
    }

    /// The state that the next event is merged into: the youngest pending one, or the head.
    pub(super) fn tip(&mut self, local: &Local) -> Option<Arc<UserState>> {
        match self.pending.back() {
            Some(pending) => Some(Arc::clone(&pending.state)),
            None => self.head(local),
        }
    }

    fn keep_hot(&mut self, local: &Local) {
        self.used_since_hand = true;
        if !self.in_ring {
            self.in_ring = true;
            local.keep_hot(self.slot);
        }
    }

    /// Packs the state when the ring's hand comes by the second time; `false` asks for a second chance.
    pub(crate) fn cool(&mut self, compactor: &Compactor) -> bool {
        if std::mem::take(&mut self.used_since_hand) {
            return false;
        }
        self.in_ring = false;
        if let Head::Unpacked(state) = &self.head
            && let Some(compact) = compactor.pack(state)
        {
            self.head = Head::Packed(compact);
        }
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        true
    }

    /// Lets the actor go if nothing needs it: nothing pending, no outlet, no message that waits.
    pub(crate) fn passivate(&mut self, local: &Local) -> bool {
        let idle = self.pending.is_empty() && self.outlets.is_none() && self.waiting.is_empty() && !self.detached;
        if !idle || !local.shared.roster.passivate(&self.user, &self.cell) {
            return false;
        }
        self.leave(local);
        local.shared.metrics.actors_passivated.increment(1);
        true
    }

    /// Cuts the actor off from the roster, its views and its subscribers. What is pending finishes or fails by
    /// itself; whoever waits for it is told busy. The actix side ends with its last address.
    pub(crate) fn detach(&mut self, local: &Local) {
        if !self.detached {
            self.cell.retire();
            self.leave(local);
        }
    }

    /// Cuts the actor off from the roster and its subscribers; its views stay good, as its head is the newest.
    fn leave(&mut self, local: &Local) {
        self.detached = true;
        local.shared.roster.remove(&self.user, &self.cell);
        local.slots.borrow_mut().remove(self.slot);
        local.count(-1);
        self.take_pending().for_each(Waiter::fail);
        while let Some(request) = self.next_waiting() {
            request.fail(ReadError::Busy);
            self.message_out();
        }
        if let Some(outlets) = self.outlets.take() {
            outlets.resync(&self.user);
        }
        self.head = Head::Unborn;
    }

    /// Fails the whole chain: the tip falls back to the head. Reads that waited for a turn of the day do without.
    pub(crate) fn fail_pending(&mut self, local: &Local) {
        for waiter in self.take_pending() {
            match waiter {
                Waiter::Read(request) => self.answer_from_head(local, *request),
                waiter => waiter.fail(),
            }
        }
    }

    fn take_pending(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        std::mem::take(&mut self.pending).into_iter().flat_map(|pending| pending.waiters)
    }

    /// The next request of those that came while the user was hydrated.
    pub(crate) fn next_waiting(&mut self) -> Option<Request> {
        self.waiting.pop()
    }

    /// Whether the actor is cut off, and only redirects what is still in its mailbox.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }

    pub(crate) fn message_out(&self) {
        self.cell.message_out();
    }

    pub(crate) fn slot(&self) -> SlotKey {
        self.slot
    }

    pub(crate) fn used_at(&self) -> u32 {
        self.used_at
    }

    pub(crate) fn is_unpacked(&self) -> bool {
        matches!(self.head, Head::Unpacked(_))
    }

    /// An actor's state that nothing was asked of, for tests of what only counts them.
    #[cfg(test)]
    pub(crate) fn idle(slot: SlotKey) -> Self {
        let user = UserId::parse("usr_000000000000").expect("an id");
        Self::new(user, slot, Arc::new(HeadCell::new(None)), None, Vec::new(), 0)
    }
}

impl Waiter {
    fn fail(self) {
        match self {
            // A reply that is dropped says busy.
            Self::Event(..) => {}
            Self::Read(request) => request.fail(ReadError::Busy),
        }
    }
}
