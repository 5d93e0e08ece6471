//! The queue of reads through history, and the threads that do them.
//!
//! They are not the hydration threads: a read through history may take many times as long as a load, and cold users would
//! wait behind it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use domain::port::store::{ProfileStore, StoreError};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};
use crate::metric::HistoryMetrics;

/// Works on the store and answers the asker; `None` if the asker had gone before.
type Work = Box<dyn FnOnce(&dyn ProfileStore) -> Option<ReadResult> + Send>;

/// A read that waits.
struct Job {
    work: Work,
    asked: Instant,
}

/// How a read ended.
#[derive(Debug, Clone, Copy)]
enum ReadResult {
    Done,
    Failed,
}

/// Reads through history that wait.
pub(crate) struct HistoryLane {
    waiting: Mutex<WaitingJobs>,
    filled: Condvar,
    max_waiting: usize,
    metrics: HistoryMetrics,
}

#[derive(Default)]
struct WaitingJobs {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl HistoryLane {
    /// Returns an empty queue. At most `max_waiting` reads may wait.
    pub(crate) fn new(max_waiting: usize, metrics: HistoryMetrics) -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new(), max_waiting, metrics }
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
        let work = move |store: &dyn ProfileStore| {
            if answer.is_closed() {
                return None;
            }
            let result = run(|| read(store));
            let outcome = if result.is_ok() { ReadResult::Done } else { ReadResult::Failed };
            // The asker may have stopped waiting.
            let _ = answer.send(result);
            Some(outcome)
        };
        self.push(Job { work: Box::new(work), asked: Instant::now() })?;
        // A lane that is closed drops its jobs.
        result.await.unwrap_or(Err(ReadError::Busy))
    }

    fn push(&self, job: Job) -> Result<(), Busy> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closed || waiting.jobs.len() >= self.max_waiting {
            self.metrics.refused.increment(1);
            return Err(Busy);
        }
        waiting.jobs.push_back(job);
        self.metrics.waiting.set(waiting.jobs.len() as f64);
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
        self.metrics.waiting.set(0.0);
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
        let job = waiting.jobs.pop_front();
        self.metrics.waiting.set(waiting.jobs.len() as f64);
        job
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
        let Some(Job { work, asked }) = self.lane.take(wait) else { return false };
        let (metrics, begun) = (&self.lane.metrics, Instant::now());
        let Some(outcome) = work(self.store.as_ref()) else {
            metrics.abandoned.increment(1);
            return true;
        };
        metrics.wait.record(begun - asked);
        metrics.read.record(begun.elapsed());
        match outcome {
            ReadResult::Done => metrics.done.increment(1),
            ReadResult::Failed => metrics.failed.increment(1),
        }
        true
    }
}
