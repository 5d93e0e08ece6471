//! The device that computes, and the CPU in its place when it fails.

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

    /// Returns the number of rows that are to be computed at once: jobs are cut into batches of so many.
    pub(super) fn batch_rows(&self) -> usize {
        self.batch_rows
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
