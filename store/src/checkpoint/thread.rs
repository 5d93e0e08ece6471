//! The thread that checkpoints beside serving.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Bell, CheckpointError, Checkpointer};
use crate::shared::Shared;

/// How soon a failed checkpoint is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Time between two checkpoints, however fast the journal grows: each writes the whole state of every user that changed.
const SPACING: Duration = Duration::from_secs(10);

/// The running thread. Dropped without [`Self::finish`], it ends without a last checkpoint, as in a crash.
pub(crate) struct CheckpointThread {
    bell: Arc<Bell>,
    checkpointer: Arc<Checkpointer>,
    handle: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    pub(crate) fn start(shared: Arc<Shared>, checkpointer: Checkpointer) -> io::Result<Self> {
        let checkpointer = Arc::new(checkpointer);
        let bell = shared.bell.clone();
        let worker = checkpointer.clone();
        let work = move || work(&shared, &worker);
        let handle = thread::Builder::new().name("checkpoint".to_owned()).spawn(work)?;
        Ok(Self { bell, checkpointer, handle: Some(handle) })
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
        self.bell.close();
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

fn work(shared: &Shared, checkpointer: &Checkpointer) {
    let bell = &*shared.bell;
    let mut pause = checkpointer.interval;
    // Short intervals are for tests; the spacing is always a part of the interval.
    let spacing = SPACING.min(checkpointer.interval / 6);
    loop {
        bell.wait(spacing, pause);
        if bell.is_closing() {
            return;
        }
        bell.start_over();
        pause = match checkpointer.run(|| bell.is_due() || bell.is_behind() || bell.is_closing()) {
            Ok(_) => checkpointer.interval,
            Err(error) => {
                tracing::error!("a checkpoint failed and will be tried again: {error}");
                RETRY.min(checkpointer.interval)
            }
        };
    }
}
