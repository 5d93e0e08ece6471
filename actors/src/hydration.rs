//! Loading cold users, on threads of their own: stores block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::id::UserId;
use domain::past::PastProfile;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{Hydration, Rewind};
use domain::state::UserState;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};
use crate::existence::LookUp;
use crate::roster::ShardEvent;
use crate::shared::Shared;

/// Maximum number of users that one thread takes, and sends back, at once.
const BATCH: usize = 64;
/// A thread sends back what it has loaded once it has read this many bytes, so that large users do not add up.
const BATCH_BYTES: usize = 4 << 20;

/// What waits to be loaded.
#[derive(Debug)]
pub(crate) struct LoadQueue {
    state: Mutex<State>,
    filled: Condvar,
    max_pasts: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Users that passed the barrier. Bounded by the roster, which counts those who wait.
    users: VecDeque<UserId>,
    pasts: VecDeque<GetPast>,
    /// Look-ups that passed the barrier, too. Bounded where they begin.
    look_ups: VecDeque<LookUp>,
    closed: bool,
}

/// Asks for a user's profile as it stood at a revision; answered with `None` where it cannot be reached.
#[derive(Debug)]
pub(crate) struct GetPast {
    pub(crate) user: UserId,
    pub(crate) revision: u64,
    pub(crate) answer: oneshot::Sender<Result<Option<PastProfile>, ReadError>>,
}

/// A user's stored state, or that there is none.
#[derive(Debug)]
pub(crate) struct Hydrated {
    pub(crate) user: UserId,
    pub(crate) state: Result<Option<Arc<UserState>>, StoreError>,
}

impl LoadQueue {
    /// At most `max_pasts` questions about the past may wait.
    pub(crate) fn new(max_pasts: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), max_pasts }
    }

    /// Lets a question wait. What it asks for is committed: it needs no barrier.
    pub(crate) fn ask(&self, question: GetPast) -> Result<(), Busy> {
        let mut state = self.state.lock();
        if state.closed || state.pasts.len() >= self.max_pasts {
            return Err(Busy);
        }
        state.pasts.push_back(question);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    pub(crate) fn push(&self, users: impl ExactSizeIterator<Item = UserId>) {
        if users.len() > 0 {
            self.state.lock().users.extend(users);
            self.filled.notify_all();
        }
    }

    pub(crate) fn push_look_ups(&self, look_ups: impl ExactSizeIterator<Item = LookUp>) {
        if look_ups.len() > 0 {
            self.state.lock().look_ups.extend(look_ups);
            self.filled.notify_all();
        }
    }

    /// Whether a question waits.
    #[cfg(test)]
    pub(crate) fn is_asked(&self) -> bool {
        !self.state.lock().pasts.is_empty()
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// Takes some users, some look-ups and one question, so that none waits for all of the others.
    fn take(&self, work: &mut Work, wait: bool) -> bool {
        let mut state = self.state.lock();
        while wait && state.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        let is_last = state.is_empty() && state.closed;
        let count = state.users.len().min(BATCH);
        work.users.extend(state.users.drain(..count));
        let count = state.look_ups.len().min(BATCH);
        work.look_ups.extend(state.look_ups.drain(..count));
        work.question = state.pasts.pop_front();
        !is_last
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.pasts.is_empty() && self.look_ups.is_empty()
    }
}

/// What one thread does next.
#[derive(Debug, Default)]
struct Work {
    users: Vec<UserId>,
    look_ups: Vec<LookUp>,
    question: Option<GetPast>,
}

/// One hydration thread's work.
pub(crate) struct Loader {
    store: Arc<dyn ProfileStore>,
    shared: Arc<Shared>,
    work: Work,
}

impl Loader {
    pub(crate) fn new(store: Arc<dyn ProfileStore>, shared: Arc<Shared>) -> Self {
        Self { store, shared, work: Work::default() }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.step(true) {}
    }

    /// Loads one batch. `false` when there will be no further one.
    pub(crate) fn step(&mut self, wait: bool) -> bool {
        let open = self.shared.loads.take(&mut self.work, wait);
        let mut by_shard: Vec<Vec<Hydrated>> = self.shared.shards.iter().map(|_| Vec::new()).collect();
        let mut bytes = 0;
        for user in self.work.users.drain(..) {
            let mut hydration = Hydration::default();
            let state = load(self.store.as_ref(), &user, &mut hydration);
            if let Err(error) = &state {
                let cause: &dyn std::error::Error = error;
                tracing::error!(error = cause, "a user could not be hydrated");
            }
            by_shard[self.shared.shard_of(&user)].push(Hydrated { user, state });
            bytes += hydration.loaded_bytes();
            if bytes >= BATCH_BYTES {
                send_back(&self.shared, &mut by_shard);
                bytes = 0;
            }
        }
        send_back(&self.shared, &mut by_shard);
        for look_up in self.work.look_ups.drain(..) {
            look_up.run(&self.shared, self.store.as_ref());
        }
        if let Some(GetPast { user, revision, answer }) = self.work.question.take() {
            let past = load_past(self.store.as_ref(), &user, revision);
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(past.map_err(|error| {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "a user's past could not be read");
                ReadError::Unavailable
            }));
        }
        open
    }
}

fn send_back(shared: &Shared, by_shard: &mut [Vec<Hydrated>]) {
    for (shard, hydrated) in shared.shards.iter().zip(by_shard) {
        if !hydrated.is_empty() {
            let _ = shard.send(ShardEvent::Hydrated(std::mem::take(hydrated)));
        }
    }
}

fn load_past(store: &dyn ProfileStore, user: &UserId, revision: u64) -> Result<Option<PastProfile>, StoreError> {
    guarded(|| {
        let mut rewind = Rewind::new(revision);
        store.load_history(user, revision, &mut rewind)?;
        Ok(rewind.finish().past)
    })
}

/// Loads a user's state. Blocks.
pub(crate) fn load(
    store: &dyn ProfileStore,
    user: &UserId,
    hydration: &mut Hydration,
) -> Result<Option<Arc<UserState>>, StoreError> {
    guarded(|| {
        let Some(sequence) = store.load(user, hydration)? else { return Ok(None) };
        match hydration.take_state() {
            Some(state) if state.sequence != sequence => {
                Err(damaged(format!("the frames lead to sequence {} and not to {sequence}", state.sequence)))
            }
            state => Ok(state.map(Arc::new)),
        }
    })
}

/// Stored bytes that make our own code panic are damaged.
fn guarded<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged("reading it panicked".to_owned())))
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { what }
}
