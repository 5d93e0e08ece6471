//! The columns, as checkpoints save them.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain::columns::layout;
use domain::port::log::LogPosition;
use domain::port::projection::ProjectionSource;
use domain::port::store::StoreError;

use crate::runtime::Runtime;

/// Maximum time that a checkpoint waits until all actors have dealt with what is durable.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Gives checkpoints the columns to save.
pub(crate) struct ColumnsToSave(pub(crate) Arc<Runtime>);

impl ProjectionSource for ColumnsToSave {
    fn settle(&self) -> Option<LogPosition> {
        let runtime = &*self.0;
        let is_complete = || runtime.columns.is_ready() && runtime.missed.is_empty();
        if !is_complete() {
            return None;
        }
        let horizon = &runtime.followers.horizon;
        let wanted = horizon.end();
        // Beyond the horizon, actors may not have dealt with their commits yet.
        let reached = horizon.watch();
        runtime.services.commits.mark();
        let started = Instant::now();
        loop {
            // No mark comes through when all threads have ended.
            if let Some(is_drained) = runtime.is_drained.get() {
                return (*is_drained && is_complete()).then_some(wanted);
            }
            let position = *reached.borrow();
            if position >= wanted {
                return is_complete().then_some(position);
            }
            if started.elapsed() > MAX_WAIT {
                return None;
            }
            thread::sleep(LOOK);
        }
    }

    fn layout(&self) -> u32 {
        layout()
    }

    fn pieces(&self, save: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.columns.pieces(save)
    }
}
