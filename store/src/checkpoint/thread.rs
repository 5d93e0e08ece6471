//! The thread that checkpoints beside serving.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{CheckpointError, Checkpointer};
use crate::checkpoint_trigger::CheckpointTrigger;
use crate::engine::Engine;

/// How soon a failed checkpoint is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Time between two checkpoints, however fast the journal grows: each writes the whole state of every user that changed.
const SPACING: Duration = Duration::from_secs(10);

/// The running thread. Dropped without [`Self::finish`], it ends without a last checkpoint, as in a crash.
pub(crate) struct CheckpointThread {
    checkpoint_trigger: Arc<CheckpointTrigger>,
    checkpointer: Arc<Checkpointer>,
    handle: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    pub(crate) fn start(engine: Arc<Engine>, checkpointer: Checkpointer) -> io::Result<Self> {
        let checkpointer = Arc::new(checkpointer);
        let checkpoint_trigger = engine.checkpoint_trigger.clone();
        let worker = checkpointer.clone();
        let work = move || work(&engine, &worker);
        let handle = thread::Builder::new().name("checkpoint".to_owned()).spawn(work)?;
        Ok(Self { checkpoint_trigger, checkpointer, handle: Some(handle) })
    }

    /// A checkpoint now, on the caller's thread.
    pub(crate) fn checkpoint(&self) -> Result<(), CheckpointError> {
        self.checkpointer.run(|| true).map(|_| ())
    }

    /// Ends the thread and writes the last checkpoint.
    pub(crate) fn finish(mut self) -> Result<(), CheckpointError> {
        self.stop();
        self.checkpointer.run_last()
    }

    fn stop(&mut self) {
        self.checkpoint_trigger.close();
        if let Some(handle) = self.handle.take() {
            // It ends by itself; a panic in it was reported by the panic hook.
            let _ = handle.join();
        }
    }
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(engine: &Engine, checkpointer: &Checkpointer) {
    let checkpoint_trigger = &*engine.checkpoint_trigger;
    let mut pause = checkpointer.interval;
    // Short intervals are for tests; the spacing is always a part of the interval.
    let spacing = SPACING.min(checkpointer.interval / 6);
    loop {
        checkpoint_trigger.wait(spacing, pause);
        if checkpoint_trigger.is_closing() {
            return;
        }
        checkpoint_trigger.start_over();
        pause = match checkpointer
            .run(|| checkpoint_trigger.is_due() || checkpoint_trigger.is_behind() || checkpoint_trigger.is_closing())
        {
            Ok(_) => checkpointer.interval,
            Err(error) => {
                tracing::error!("a checkpoint failed and will be tried again: {error}");
                RETRY.min(checkpointer.interval)
            }
        };
    }
}
