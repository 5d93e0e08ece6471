//! The thread that makes checkpoints while the server runs.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use domain::port::memory::CommittedStates;
use domain::port::projection::ProjectionSource;
use domain::port::store::StoreError;

use super::{CheckpointError, Checkpointer};
use crate::checkpoint_trigger::CheckpointTrigger;
use crate::engine::Engine;

/// Time before a failed checkpoint is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Minimum time between two checkpoints, however fast the journal grows, because each writes the whole state of every user
/// that changed.
const SPACING: Duration = Duration::from_secs(10);

/// The running thread. Dropped without [`Self::finish`], it ends without a last checkpoint, and in the middle of one that
/// runs, as in a crash.
pub(crate) struct CheckpointThread {
    checkpoint_trigger: Arc<CheckpointTrigger>,
    checkpointer: Arc<Checkpointer>,
    handle: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    pub(crate) fn start(engine: Arc<Engine>, checkpointer: Arc<Checkpointer>) -> io::Result<Self> {
        let checkpoint_trigger = engine.checkpoint_trigger.clone();
        let worker = checkpointer.clone();
        let work = move || work(&engine, &worker);
        let handle = thread::Builder::new().name("checkpoint".to_owned()).spawn(work)?;
        Ok(Self { checkpoint_trigger, checkpointer, handle: Some(handle) })
    }

    /// Lets checkpoints take states from memory.
    pub(crate) fn use_committed_states(&self, states: Arc<dyn CommittedStates>) {
        self.checkpointer.use_committed_states(states);
    }

    /// Lets checkpoints save a projection.
    pub(crate) fn save_projection(&self, source: Arc<dyn ProjectionSource>) {
        self.checkpointer.save_projection(source);
    }

    /// Seals the saved projection under a new key, on the caller's thread.
    pub(crate) fn reseal_projection(&self) -> Result<(), StoreError> {
        self.checkpointer.reseal_projection()
    }

    /// Returns what makes checkpoints.
    pub(crate) fn checkpointer(&self) -> Arc<Checkpointer> {
        Arc::clone(&self.checkpointer)
    }

    /// Makes a checkpoint now, on the caller's thread.
    pub(crate) fn checkpoint(&self) -> Result<(), CheckpointError> {
        self.checkpointer.run(|| true).map(|_| ())
    }

    /// Thins the histories of all users now, on the caller's thread.
    pub(crate) fn thin_all(&self) -> Result<(), CheckpointError> {
        self.checkpointer.thin_all()
    }

    /// Ends the thread and makes the last checkpoint, within `time`.
    pub(crate) fn finish(mut self, time: Duration) -> Result<(), CheckpointError> {
        self.stop(time);
        self.checkpointer.run_last()
    }

    fn stop(&mut self, time: Duration) {
        self.checkpoint_trigger.close(time);
        if let Some(handle) = self.handle.take() {
            // A panic in the thread was reported by the panic hook.
            let _ = handle.join();
        }
    }
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

fn work(engine: &Engine, checkpointer: &Checkpointer) {
    let checkpoint_trigger = &*engine.checkpoint_trigger;
    let mut pause = checkpointer.interval;
    // Short intervals are for tests; the spacing is always shorter than the interval.
    let spacing = SPACING.min(checkpointer.interval / 6);
    loop {
        checkpoint_trigger.wait(spacing, pause);
        if checkpoint_trigger.is_closing() {
            return;
        }
        checkpoint_trigger.reset();
        pause = match checkpointer
            .run(|| checkpoint_trigger.is_due() || checkpoint_trigger.is_behind() || checkpoint_trigger.is_closing())
        {
            Ok(_) => {
                thin(checkpoint_trigger, checkpointer);
                checkpointer.interval
            }
            Err(error) => {
                tracing::error!("a checkpoint failed and will be tried again: {error}");
                RETRY.min(checkpointer.interval)
            }
        };
    }
}

/// Thins histories until the next checkpoint should begin, at the latest. A failure is tried again after it.
fn thin(checkpoint_trigger: &CheckpointTrigger, checkpointer: &Checkpointer) {
    let start = Instant::now();
    let is_late = || start.elapsed() > checkpointer.interval / 2;
    let must_end = || checkpoint_trigger.is_due() || checkpoint_trigger.is_closing() || is_late();
    if let Err(error) = checkpointer.thin_some(must_end) {
        tracing::error!("histories could not be thinned, which will be tried again: {error}");
        checkpointer.after_failure(&error);
    }
}
