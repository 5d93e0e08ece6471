//! The hydration threads: they load users for the shards, since stores block.

use std::sync::Arc;

use domain::port::store::{ProfileStore, StoreError};
use domain::record::Hydration;

use crate::error::ReadError;
use crate::existence::run_look_up;
use crate::load::{HydratedUser, load, load_past};
use crate::load_queue::{GetPast, LoadBatch};
use crate::runtime::Runtime;
use crate::shard_event::ShardEvent;

/// A thread sends back what it has loaded once it has read this many bytes, so that large users do not add up.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// The work of one hydration thread.
pub(crate) struct Loader {
    store: Arc<dyn ProfileStore>,
    runtime: Arc<Runtime>,
    batch: LoadBatch,
}

impl Loader {
    pub(crate) fn new(store: Arc<dyn ProfileStore>, runtime: Arc<Runtime>) -> Self {
        Self { store, runtime, batch: LoadBatch::default() }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.step(true) {}
    }

    /// Does one batch. Returns `false` when the queue is closed and empty.
    pub(crate) fn step(&mut self, wait: bool) -> bool {
        let open = self.runtime.loads.take(&mut self.batch, wait);
        self.load_users();
        for look_up in self.batch.look_ups.drain(..) {
            run_look_up(&self.runtime, self.store.as_ref(), look_up);
        }
        if let Some(request) = self.batch.past.take() {
            self.answer_past(request);
        }
        open
    }

    fn load_users(&mut self) {
        let mut by_shard: Vec<Vec<HydratedUser>> = self.runtime.shards.iter().map(|_| Vec::new()).collect();
        let mut bytes = 0;
        for user in self.batch.users.drain(..) {
            let mut hydration = Hydration::default();
            let head = load(self.store.as_ref(), &user, &mut hydration);
            if let Err(error) = &head {
                let cause: &dyn std::error::Error = error;
                tracing::error!(error = cause, "a user could not be hydrated");
            }
            let newest_of_damaged = match &head {
                Err(StoreError::Damaged { .. }) => self.runtime.followers.newest(&user),
                _ => None,
            };
            by_shard[self.runtime.shard_of(&user)].push(HydratedUser { user, head, newest_of_damaged });
            bytes += hydration.loaded_bytes();
            if bytes >= MAX_BATCH_BYTES {
                send_to_shards(&self.runtime, &mut by_shard);
                bytes = 0;
            }
        }
        send_to_shards(&self.runtime, &mut by_shard);
    }

    fn answer_past(&self, GetPast { user, revision, answer }: GetPast) {
        let past = load_past(self.store.as_ref(), &user, revision);
        // The caller may have stopped waiting.
        let _ = answer.send(past.map_err(|error| {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(error = cause, "a user's past could not be read");
            ReadError::Unavailable
        }));
    }
}

fn send_to_shards(runtime: &Runtime, by_shard: &mut [Vec<HydratedUser>]) {
    for (shard, users) in runtime.shards.iter().zip(by_shard) {
        if !users.is_empty() {
            // A shard that has stopped needs no users: `Profiles::stop` refuses the requests that wait for them.
            let _ = shard.send(ShardEvent::UsersHydrated(std::mem::take(users)));
        }
    }
}
