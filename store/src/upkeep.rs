//! The upkeep thread: prepares what later writes need, and finds out when a failed disk works again.
//!
//! The journal's next segment is allocated ahead, so that a full disk or a lack of descriptors does not stop a write that
//! needs a new segment. What cannot be prepared is retried every second. After the disk refused a write, the thread makes
//! test writes, so that the store becomes ready again without waiting for an event. Expired entries of the registry are
//! removed from memory, and jobs of erasures that are done from its file.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk::is_full;
use crate::engine::Engine;
use crate::registry::DurableRegistry;

/// Time between two tries while something is missing.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two checks while nothing is missing.
const IDLE: Duration = Duration::from_secs(60);

/// The running thread. It ends when this is dropped.
pub(crate) struct Upkeep {
    engine: Arc<Engine>,
    handle: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Prepares what is possible and starts the thread. Segments have `segment_bytes` bytes.
    pub(crate) fn start(engine: Arc<Engine>, registry: Arc<DurableRegistry>, segment_bytes: u64) -> io::Result<Self> {
        let complete = restore(&engine, segment_bytes);
        let worker = engine.clone();
        let work = move || work(&worker, &registry, segment_bytes, complete);
        let handle = thread::Builder::new().name("upkeep".to_owned()).spawn(work)?;
        Ok(Self { engine, handle: Some(handle) })
    }

    pub(crate) fn stop(&mut self) {
        self.engine.upkeep_signal.close();
        if let Some(handle) = self.handle.take() {
            // A panic in the thread was reported by the panic hook.
            let _ = handle.join();
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(engine: &Engine, registry: &DurableRegistry, segment_bytes: u64, mut complete: bool) {
    while engine.upkeep_signal.wait(if complete { IDLE } else { RETRY }) {
        let before = complete;
        complete = restore(engine, segment_bytes);
        if complete && !before {
            tracing::info!("the store has its reserves again");
        }
        if let Some(clock) = &engine.retention_clock {
            registry.sweep(clock.now());
        }
        if complete {
            registry.forget_removed_jobs();
        }
    }
}

/// Prepares what is missing. Returns whether everything is there now.
fn restore(engine: &Engine, segment_bytes: u64) -> bool {
    let _space = engine.sled.reserve().lock_space();
    // The reserve comes first: without it nothing could be read after a failure of sled.
    let reserve = engine.sled.ensure_reserve();
    let mut write = engine.segments.prepare(segment_bytes);
    if write.as_ref().is_err_and(is_full) && engine.free_follower_segments() {
        write = engine.segments.prepare(segment_bytes);
    }
    if engine.status.is_append_failing() {
        write = write.and_then(|()| test_write(engine));
    }
    let error = write.and(reserve).err();
    engine
        .status
        .set_reserves(error.as_ref().map(|error| format!("nothing can be prepared for the next writes ({error})")));
    error.is_none()
}

/// Tests whether the next write is likely to succeed, with a write to the prepared segment and a slot of the keyring.
fn test_write(engine: &Engine) -> io::Result<()> {
    engine.segments.try_write()?;
    // The caller holds the space lock.
    let slots = engine.keyring.take(1)?;
    engine.keyring.give_back(slots);
    engine.status.append_works();
    Ok(())
}
