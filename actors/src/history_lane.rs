//! The queue of reads through history, and the threads that do them.
//!
//! They are not the hydration threads: a read through history may take many times as long as a load, and cold users would
//! wait behind it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::port::store::{ProfileStore, StoreError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};

/// Work on the store that answers its asker.
type Job = Box<dyn FnOnce(&dyn ProfileStore) + Send>;

/// Reads through history that wait.
pub(crate) struct HistoryLane {
    waiting: Mutex<WaitingJobs>,
    filled: Condvar,
    max_waiting: usize,
}

#[derive(Default)]
struct WaitingJobs {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl HistoryLane {
    /// Returns an empty queue. At most `max_waiting` reads may wait.
    pub(crate) fn new(max_waiting: usize) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), max_waiting }
    }

    /// Has `read` done on a thread of the lane, and waits for its result. A read whose asker no longer waits is not begun.
    ///
    /// # Errors
    /// The queue is full or closed, or the store cannot be read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn ProfileStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (answer, result) = oneshot::channel();
        self.push(Box::new(move |store| {
            if !answer.is_closed() {
                // The asker may have stopped waiting.
                let _ = answer.send(run(|| read(store)));
            }
        }))?;
        // A lane that is closed drops its jobs.
        result.await.unwrap_or(Err(ReadError::Busy))
    }

    fn push(&self, job: Job) -> Result<(), Busy> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed || waiting.jobs.len() >= self.max_waiting {
            return Err(Busy);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Returns whether a read waits.
    #[cfg(test)]
    pub(crate) fn has_job(&self) -> bool {
        !self.waiting.lock().jobs.is_empty()
    }

    /// Refuses further reads and drops those that wait, and lets each thread end.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_closed = true;
        let dropped = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        self.filled.notify_all();
        drop(dropped);
    }

    /// Takes the next read. Waits for one if `wait` is set. Returns `None` if there is none, or if the lane is closed.
    fn take(&self, wait: bool) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        while wait && waiting.jobs.is_empty() && !waiting.is_closed {
            self.filled.wait(&mut waiting);
        }
        waiting.jobs.pop_front()
    }
}

/// Runs a read of the store. A panic in it means that the stored bytes are damaged.
fn run<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, ReadError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(error = cause, "a user's history could not be read");
            ReadError::Unavailable
        }),
        Err(_) => {
            tracing::error!("reading a user's history panicked");
            Err(ReadError::Unavailable)
        }
    }
}

/// The work of one thread of the lane.
pub(crate) struct HistoryReader {
    store: Arc<dyn ProfileStore>,
    lane: Arc<HistoryLane>,
}

impl HistoryReader {
    pub(crate) fn new(store: Arc<dyn ProfileStore>, lane: Arc<HistoryLane>) -> Self {
        Self { store, lane }
    }

    /// Runs until the lane is closed.
    pub(crate) fn run(self) {
        while self.step(true) {}
    }

    /// Does one read. Returns `false` if there is none.
    pub(crate) fn step(&self, wait: bool) -> bool {
        let Some(job) = self.lane.take(wait) else { return false };
        job(self.store.as_ref());
        true
    }
}
