//! The thread that makes things ready before they are needed, and finds out when what failed works again.
//!
//! The journal's next segment is made ahead, so that a full disk or a lack of descriptors does not stop a write at the
//! moment of the roll. What is missing is tried again every second until it is there; a write that the disk refused is
//! followed by trial writes, so that readiness comes back without anybody's event.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk::is_full;
use crate::engine::Engine;

/// How soon what is missing is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often all is looked at when nothing is missing.
const IDLE: Duration = Duration::from_secs(60);

/// The running thread. It ends when this is dropped.
pub(crate) struct Upkeep {
    engine: Arc<Engine>,
    handle: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Makes ready what can be, and starts the thread. Segments have `segment_bytes` bytes.
    pub(crate) fn start(engine: Arc<Engine>, segment_bytes: u64) -> io::Result<Self> {
        let complete = restore(&engine, segment_bytes);
        let worker = engine.clone();
        let work = move || work(&worker, segment_bytes, complete);
        let handle = thread::Builder::new().name("upkeep".to_owned()).spawn(work)?;
        Ok(Self { engine, handle: Some(handle) })
    }

    pub(crate) fn stop(&mut self) {
        self.engine.upkeep_signal.close();
        if let Some(handle) = self.handle.take() {
            // It ends by itself; a panic in it was reported by the panic hook.
            let _ = handle.join();
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(engine: &Engine, segment_bytes: u64, mut complete: bool) {
    while engine.upkeep_signal.wait(if complete { IDLE } else { RETRY }) {
        let before = complete;
        complete = restore(engine, segment_bytes);
        if complete && !before {
            tracing::info!("the store has its reserves again");
        }
    }
}

/// Makes ready what is missing; says whether nothing is missing any more.
fn restore(engine: &Engine, segment_bytes: u64) -> bool {
    let _room = engine.sled.reserve().lock_space();
    // First, since without it nothing could be read after a failure of sled.
    let reserve = engine.sled.ensure_reserve();
    let prepare = || engine.segments.prepare(segment_bytes);
    let segment = prepare().or_else(|error| match is_full(&error) && engine.free_follower_segments() {
        true => prepare(),
        false => Err(error),
    });
    let write = match engine.status.is_append_failing() {
        true => segment.and_then(|()| trial(engine)),
        false => segment,
    };
    engine.status.reserves(
        write
            .as_ref()
            .err()
            .or(reserve.as_ref().err())
            .map(|error| format!("nothing can be set aside for the next writes ({error})")),
    );
    write.is_ok() && reserve.is_ok()
}

/// Does what the next write will need. After that it is likely to be taken.
fn trial(engine: &Engine) -> io::Result<()> {
    engine.segments.try_write()?;
    // The caller has the room for it.
    let slots = engine.keyring.take(1)?;
    engine.keyring.give_back(slots);
    engine.status.append_works();
    Ok(())
}
