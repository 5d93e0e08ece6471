//! The device that computes, and the CPU in its place when it fails.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::export::ExportBackend;
use kernels::{Backend, BackendKind, Cpu, KernelError};

/// A back end that falls back to the CPU. What the device did not finish is computed again from the start, so no row is
/// missing or counted twice.
#[derive(Debug)]
pub(super) struct Device {
    chosen: Arc<dyn Backend>,
    cpu: Cpu,
    /// Set when the device has failed. It stays so until the next job.
    has_failed: AtomicBool,
    batch_rows: usize,
}

/// Rows that a device computes at once.
const BATCH_ROWS: usize = 1 << 20;

impl Device {
    pub(super) fn new(chosen: Arc<dyn Backend>) -> Self {
        Self { chosen, cpu: Cpu::new(), has_failed: AtomicBool::new(false), batch_rows: BATCH_ROWS }
    }

    /// Returns the device with other batches.
    #[cfg(test)]
    pub(super) fn with_batch_rows(self, batch_rows: usize) -> Self {
        Self { batch_rows, ..self }
    }

    /// Cuts rows into batches, at least one, and returns what `compute` gives for each, in their order. On a GPU two batches
    /// are under way at once, each on a stream of its own: one is copied while the other is computed. The CPU computes
    /// one at a time, on all threads. `done` is told how many rows were computed.
    pub(super) fn in_batches<T: Send, E: Send>(
        &self,
        rows: usize,
        compute: impl Fn(Range<usize>) -> Result<T, E> + Sync,
        mut done: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<Vec<T>, E> {
        let first_rows = (0..rows.max(1)).step_by(self.batch_rows);
        let batches: Vec<Range<usize>> = first_rows.map(|first| first..rows.min(first + self.batch_rows)).collect();
        let mut results = Vec::with_capacity(batches.len());
        for pair in batches.chunks(2) {
            match pair {
                [one, other] if self.backend() == ExportBackend::Cuda => {
                    let (one, other) = rayon::join(|| compute(one.clone()), || compute(other.clone()));
                    results.extend([one?, other?]);
                }
                _ => pair.iter().try_for_each(|batch| compute(batch.clone()).map(|result| results.push(result)))?,
            }
            done(pair.iter().map(|batch| batch.len() as u64).sum())?;
        }
        Ok(results)
    }

    /// Gives the device another chance: a new job begins.
    pub(super) fn reset(&self) {
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// Returns what computes now.
    pub(super) fn backend(&self) -> ExportBackend {
        match self.chosen.kind() {
            BackendKind::Cuda if !self.has_failed.load(Ordering::Relaxed) => ExportBackend::Cuda,
            _ => ExportBackend::Cpu,
        }
    }

    /// Computes on the device; on the CPU, if the device fails or panics.
    pub(super) fn compute<T>(&self, kernel: impl Fn(&dyn Backend) -> Result<T, KernelError>) -> Result<T, KernelError> {
        if self.backend() == ExportBackend::Cpu {
            return kernel(&self.cpu);
        }
        match catch_unwind(AssertUnwindSafe(|| kernel(&*self.chosen))) {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(error)) => tracing::warn!("the device failed, and the CPU takes its place for this job: {error}"),
            Err(_) => tracing::warn!("the device's back end panicked, and the CPU takes its place for this job"),
        }
        self.has_failed.store(true, Ordering::Relaxed);
        kernel(&self.cpu)
    }
}
