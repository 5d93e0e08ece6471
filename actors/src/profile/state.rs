//! The state of a ProfileActor: the committed head, and the chain of pending states on top of it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::erasure::Tombstone;
use domain::id::UserId;
use domain::port::erasure::ErasedUser;
use domain::port::journal::RowId;
use domain::port::log::NewestRecord;
use domain::snapshot::SnapshotMark;
use domain::state::UserState;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::environment::{Effects, Environment};
use super::outlets::Outlets;
use crate::compact::{self, Compact};
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::load::StoredHead;
use crate::reply::{Reply, Status};
use crate::request::{MarkedState, Request, WaitingRequests};
use crate::slots::SlotKey;

/// One user's live state.
#[derive(Debug)]
pub(crate) struct ProfileState {
    pub(super) user: UserId,
    pub(super) slot: SlotKey,
    pub(super) cell: Arc<HeadCell>,
    head: Head,
    pub(super) pending: VecDeque<Pending>,
    pub(super) outlets: Option<Box<Outlets>>,
    /// The rest of the requests that arrived while the user was started.
    waiting: Option<Box<WaitingRequests>>,
    /// The shard's tick at the last request.
    used_at: u32,
    in_ring: bool,
    used_since_hand: bool,
    detached: bool,
    pub(super) effects: Effects,
}

/// The committed state that an actor begins with.
#[derive(Debug)]
pub(crate) enum FirstHead {
    /// Nothing was ever committed.
    Empty,
    State(Arc<UserState>),
    /// The user was erased.
    Erased(RowId, Tombstone),
    /// The state cannot be read. The user can only be erased.
    Damaged(NewestRecord),
}

impl From<Option<StoredHead>> for FirstHead {
    fn from(stored: Option<StoredHead>) -> Self {
        match stored {
            None => Self::Empty,
            Some(StoredHead::State(_, state)) => Self::State(state),
            Some(StoredHead::Erased(row, tombstone)) => Self::Erased(row, tombstone),
        }
    }
}

/// The committed state.
#[derive(Debug)]
enum Head {
    /// Nothing was ever committed.
    Empty,
    /// Compact bytes, and the state's sequence: the form of idle actors with subscribers.
    Packed(Compact, u64),
    /// Ready for use.
    Unpacked(Arc<UserState>),
    /// The user was erased.
    Erased(RowId, Tombstone),
    /// The state cannot be read.
    Damaged(NewestRecord),
}

/// A state that waits for its commit, and those that wait for the state.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) head: PendingHead,
    pub(super) waiters: SmallVec<[Waiter; 1]>,
}

/// What becomes the head with a commit.
#[derive(Debug)]
pub(super) enum PendingHead {
    State(Arc<UserState>),
    Erased(Tombstone),
}

impl PendingHead {
    /// Returns the sequence of the record.
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::State(state) => state.sequence,
            Self::Erased(tombstone) => tombstone.last_sequence,
        }
    }
}

/// What waits for a pending state.
#[derive(Debug)]
pub(super) enum Waiter {
    /// An event with its result, which is sent when the state is committed.
    Event(Reply, Status),
    /// A mark about snapshots, which is answered when the state is committed.
    Mark(oneshot::Sender<Result<MarkedState, ReadError>>, SnapshotMark),
    /// An erasure, which is answered when it is committed.
    Erase(oneshot::Sender<Result<ErasedUser, ReadError>>),
    /// A read that is answered from the state.
    Read(Box<Request>),
}

impl ProfileState {
    /// Returns the state of a user at `head`. `waiting` are the requests that
    /// arrived meanwhile, and `tick` is the shard's tick now.
    pub(crate) fn new(
        user: UserId,
        slot: SlotKey,
        cell: Arc<HeadCell>,
        head: FirstHead,
        mut waiting: Box<WaitingRequests>,
        tick: u32,
    ) -> Self {
        // They count as messages until they are handled, so that `Profiles::stop` waits for them.
        cell.messages_in(waiting.len());
        waiting.begin();
        Self {
            user,
            slot,
            cell,
            head: match head {
                FirstHead::Empty => Head::Empty,
                FirstHead::State(state) => Head::Unpacked(state),
                FirstHead::Erased(row, tombstone) => Head::Erased(row, tombstone),
                FirstHead::Damaged(newest) => Head::Damaged(newest),
            },
            pending: VecDeque::new(),
            outlets: None,
            waiting: Some(waiting),
            used_at: tick,
            in_ring: false,
            used_since_hand: false,
            detached: false,
            effects: Effects::default(),
        }
    }

    /// Returns the committed state; `None` if nothing was ever committed, or if the user was erased.
    ///
    /// # Panics
    /// If the packed bytes, which this actor made itself, do not unpack. The actor ends then, and the next request
    /// hydrates the user from the store.
    pub(super) fn head(&mut self) -> Option<Arc<UserState>> {
        if let Head::Packed(packed, _) = &mut self.head {
            match compact::unpack(std::mem::take(packed)) {
                Ok(state) => self.set_head(Arc::new(state)),
                Err(error) => panic!("a state that was packed here does not unpack: {error}"),
            }
        }
        match &self.head {
            Head::Unpacked(state) => Some(Arc::clone(state)),
            Head::Empty | Head::Packed(..) | Head::Erased(..) | Head::Damaged(_) => None,
        }
    }

    /// Returns the tombstone at the head, and the user's row.
    pub(super) fn head_tombstone(&self) -> Option<(RowId, Tombstone)> {
        match self.head {
            Head::Erased(row, tombstone) => Some((row, tombstone)),
            Head::Empty | Head::Packed(..) | Head::Unpacked(_) | Head::Damaged(_) => None,
        }
    }

    /// Returns the newest record of a user whose state cannot be read.
    pub(super) fn damaged(&self) -> Option<NewestRecord> {
        match self.head {
            Head::Damaged(newest) => Some(newest),
            Head::Empty | Head::Packed(..) | Head::Unpacked(_) | Head::Erased(..) => None,
        }
    }

    pub(super) fn set_erased(&mut self, row: RowId, tombstone: Tombstone) {
        self.head = Head::Erased(row, tombstone);
        self.keep_hot();
    }

    pub(super) fn set_head(&mut self, state: Arc<UserState>) {
        self.head = Head::Unpacked(state);
        self.keep_hot();
    }

    /// Returns the state that the next event is merged into: the newest pending one, or else the head. `None` if there is none,
    /// or if it was erased.
    pub(super) fn tip(&mut self) -> Option<Arc<UserState>> {
        match self.pending.back().map(|pending| &pending.head) {
            Some(PendingHead::State(state)) => Some(Arc::clone(state)),
            Some(PendingHead::Erased(_)) => None,
            None => self.head(),
        }
    }

    /// Returns the tombstone that the next event comes after: the newest pending record, or else the head.
    pub(super) fn tip_tombstone(&self) -> Option<Tombstone> {
        match self.pending.back().map(|pending| &pending.head) {
            Some(PendingHead::State(_)) => None,
            Some(PendingHead::Erased(tombstone)) => Some(*tombstone),
            None => self.head_tombstone().map(|(_, tombstone)| tombstone),
        }
    }

    /// Returns whether the newest pending record is an erasure.
    pub(super) fn is_erasure_pending(&self) -> bool {
        matches!(self.pending.back(), Some(Pending { head: PendingHead::Erased(_), .. }))
    }

    /// Has a waiter wait for the newest pending state. Without one, it fails.
    pub(super) fn wait_for_tip(&mut self, waiter: Waiter) {
        match self.pending.back_mut() {
            Some(pending) => pending.waiters.push(waiter),
            None => waiter.fail(),
        }
    }

    /// Notes a request, for passivation and the hot ring.
    pub(super) fn mark_used(&mut self, tick: u32) {
        self.used_at = tick;
        self.keep_hot();
    }

    fn keep_hot(&mut self) {
        self.used_since_hand = true;
        if !self.in_ring {
            self.in_ring = true;
            self.effects.keep_hot = true;
        }
    }

    /// Returns whether the actor was used since the last call, when the hot ring's hand passed.
    pub(crate) fn take_second_chance(&mut self) -> bool {
        std::mem::take(&mut self.used_since_hand)
    }

    /// Notes that the actor left the hot ring.
    pub(crate) fn leave_ring(&mut self) {
        self.in_ring = false;
    }

    /// Packs the head of an actor with subscribers and without a pending commit. Returns whether it has subscribers.
    pub(crate) fn pack_for_subscribers(&mut self) -> bool {
        if self.outlets.is_some() {
            self.pending = VecDeque::new();
            if let Some((bytes, sequence)) = self.packed() {
                self.head = Head::Packed(bytes, sequence);
            }
        }
        self.outlets.is_some()
    }

    /// Returns the compact form of the head, and its sequence. `None` if there is no head, or if it could not be packed, even
    /// by a panic: the store has it.
    pub(crate) fn packed(&self) -> Option<(Compact, u64)> {
        match &self.head {
            Head::Empty | Head::Erased(..) | Head::Damaged(_) => None,
            Head::Packed(bytes, sequence) => Some((bytes.clone(), *sequence)),
            Head::Unpacked(state) => {
                let pack = AssertUnwindSafe(|| compact::pack(state));
                Some((catch_unwind(pack).ok()?, state.sequence))
            }
        }
    }

    /// Takes what the state asks of its shard.
    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Returns whether a commit is pending.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns whether nothing needs the actor: nothing is pending, it has no outlet, and no first request waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.outlets.is_none() && self.waiting.is_none() && !self.detached
    }

    /// Returns the subscribers. They get no further frame from this actor.
    pub(crate) fn take_outlets(&mut self) -> Option<Box<Outlets>> {
        self.outlets.take()
    }

    /// Gives up the state, after it was removed from the roster. Everything that waits is answered busy, and subscribers
    /// are asked to subscribe again.
    pub(crate) fn detach(&mut self) {
        self.detached = true;
        self.take_pending().for_each(Waiter::fail);
        while let Some(request) = self.next_waiting() {
            request.fail(ReadError::Busy);
            self.message_out();
        }
        if let Some(outlets) = self.outlets.take() {
            outlets.resync(&self.user);
        }
        self.head = Head::Empty;
    }

    /// Fails all pending states, so that the next event is merged into the head. Reads that waited for a new day are
    /// answered from the head, which is of its own day.
    pub(crate) fn fail_pending(&mut self, environment: &Environment<'_>) {
        if self.pending.is_empty() {
            return;
        }
        // It may have left the hot ring while the commit was pending.
        self.keep_hot();
        for waiter in self.take_pending() {
            match waiter {
                Waiter::Read(request) => self.answer_from_head(environment, *request),
                waiter => waiter.fail(),
            }
        }
    }

    fn take_pending(&mut self) -> impl Iterator<Item = Waiter> + use<> {
        std::mem::take(&mut self.pending).into_iter().flat_map(|pending| pending.waiters)
    }

    /// Takes the next of the requests that arrived while the user was started.
    pub(crate) fn next_waiting(&mut self) -> Option<Request> {
        let request = self.waiting.as_mut().and_then(|waiting| waiting.next());
        if request.is_none() {
            self.waiting = None;
        }
        request
    }

    /// Returns whether the state was given up. The actor then only redirects what is still in its mailbox.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached
    }

    /// Counts a message of the actor as handled.
    pub(crate) fn message_out(&self) {
        self.cell.message_out();
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    pub(crate) fn cell(&self) -> &Arc<HeadCell> {
        &self.cell
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
}

impl Waiter {
    /// Answers with what is committed now. A read is answered by the actor.
    pub(super) fn succeed(self, head: &PendingHead, (user, row): (UserId, RowId)) {
        match (self, head) {
            (Self::Event(reply, status), _) => reply.answer(status),
            // The caller may have stopped waiting.
            (Self::Mark(answer, mark), PendingHead::State(state)) => {
                let _ = answer.send(Ok(MarkedState { state: Arc::clone(state), mark }));
            }
            (Self::Erase(answer), PendingHead::Erased(tombstone)) => {
                let _ = answer.send(Ok(ErasedUser { user, row, tombstone: *tombstone }));
            }
            (waiter @ (Self::Mark(..) | Self::Erase(_) | Self::Read(_)), _) => waiter.fail(),
        }
    }

    fn fail(self) {
        match self {
            // The reply answers busy when it is dropped.
            Self::Event(..) => {}
            Self::Mark(answer, _) => drop(answer.send(Err(ReadError::Busy))),
            Self::Erase(answer) => drop(answer.send(Err(ReadError::Busy))),
            Self::Read(request) => request.fail(ReadError::Busy),
        }
    }
}
