//! Loading cold users, on threads of their own: stores block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record;
use domain::state::UserState;
use parking_lot::{Condvar, Mutex};

use crate::roster::ShardEvent;
use crate::shared::Shared;

/// The most users that one thread takes, and sends back, at once.
const BATCH: usize = 64;

/// Users that passed the barrier and wait to be loaded. Bounded by the roster, which counts those who wait.
#[derive(Debug, Default)]
pub(crate) struct LoadQueue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    users: VecDeque<UserId>,
    closed: bool,
}

/// A user's stored state, or that there is none.
#[derive(Debug)]
pub(crate) struct Hydrated {
    pub(crate) user: UserId,
    pub(crate) state: Result<Option<Arc<UserState>>, StoreError>,
}

impl LoadQueue {
    pub(crate) fn push(&self, users: impl ExactSizeIterator<Item = UserId>) {
        if users.len() > 0 {
            self.state.lock().users.extend(users);
            self.filled.notify_all();
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    fn take(&self, batch: &mut Vec<UserId>, wait: bool) -> bool {
        let mut state = self.state.lock();
        while wait && state.users.is_empty() && !state.closed {
            self.filled.wait(&mut state);
        }
        let count = state.users.len().min(BATCH);
        batch.extend(state.users.drain(..count));
        !(batch.is_empty() && state.closed)
    }
}

/// One hydration thread's work.
pub(crate) struct Loader {
    store: Arc<dyn ProfileStore>,
    shared: Arc<Shared>,
    batch: Vec<UserId>,
}

impl Loader {
    pub(crate) fn new(store: Arc<dyn ProfileStore>, shared: Arc<Shared>) -> Self {
        Self { store, shared, batch: Vec::with_capacity(BATCH) }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.step(true) {}
    }

    /// Loads one batch. `false` when there will be no further one.
    pub(crate) fn step(&mut self, wait: bool) -> bool {
        let open = self.shared.loads.take(&mut self.batch, wait);
        let mut by_shard: Vec<Vec<Hydrated>> = self.shared.shards.iter().map(|_| Vec::new()).collect();
        for user in self.batch.drain(..) {
            let state = load(self.store.as_ref(), &user);
            if let Err(error) = &state {
                let cause: &dyn std::error::Error = error;
                tracing::error!(error = cause, "a user could not be hydrated");
            }
            by_shard[self.shared.shard_of(&user)].push(Hydrated { user, state });
        }
        for (shard, hydrated) in self.shared.shards.iter().zip(by_shard) {
            if !hydrated.is_empty() {
                let _ = shard.send(ShardEvent::Hydrated(hydrated));
            }
        }
        open
    }
}

fn load(store: &dyn ProfileStore, user: &UserId) -> Result<Option<Arc<UserState>>, StoreError> {
    let damaged = |what: String| StoreError::Damaged { what };
    let hydrate = || {
        let Some(stored) = store.load(user)? else { return Ok(None) };
        let sequence = stored.sequence;
        let state = record::hydrate(stored).map_err(|error| damaged(error.to_string()))?;
        match state {
            Some(state) if state.sequence != sequence => {
                Err(damaged(format!("the frames lead to sequence {} and not to {sequence}", state.sequence)))
            }
            state => Ok(state.map(Arc::new)),
        }
    };
    catch_unwind(AssertUnwindSafe(hydrate)).unwrap_or_else(|_| Err(damaged("reading it panicked".to_owned())))
}
