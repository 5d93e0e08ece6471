//! What the stages of a job share: its progress, and whether it is to go on.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::export::{ExportProgress, ExportStage};

/// How long a job waits before it looks again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// What every job says that cannot protect everybody in its file. The words are the same for nobody, for too few people, and for
/// too small a difference from an earlier export: a caller who tries filters must not find out which of them it was.
pub(super) const NOT_PROTECTED: JobEnd = JobEnd::Failed(
    "no file protects everybody in it enough: too few people meet the filter, they are too different or their sensitive values too alike, or an earlier export would differ from it in too few people; use the filter of an earlier export or a quite different one, fewer columns, or a lower k",
);

/// How often a job begins anew because people left while its file was written.
pub(super) const ATTEMPTS: usize = 4;

/// What a job says in which people left at every attempt.
pub(super) const KEPT_LEAVING: JobEnd = JobEnd::Failed("people kept leaving while the file was written: try again");

/// Why a job ends without a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// A caller cancelled it, or the server stops.
    Cancelled,
    /// It cannot be done; the reason is shown to callers and repeats no value of a profile.
    Failed(&'static str),
}

/// A job that runs.
pub(super) struct JobContext<'j> {
    is_cancelled: &'j AtomicBool,
    /// Set when the server stops.
    is_stopping: &'j AtomicBool,
    progress: Cell<ExportProgress>,
    report: &'j dyn Fn(ExportProgress),
    memory_bytes: u64,
}

impl<'j> JobContext<'j> {
    pub(super) fn new(
        [is_cancelled, is_stopping]: [&'j AtomicBool; 2],
        memory_bytes: u64,
        report: &'j dyn Fn(ExportProgress),
    ) -> Self {
        Self { is_cancelled, is_stopping, progress: Cell::default(), report, memory_bytes }
    }

    /// Returns how many bytes the job may take.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Ends the job if a caller cancelled it.
    pub(super) fn check_cancelled(&self) -> Result<(), JobEnd> {
        let is_over = self.is_cancelled.load(Ordering::Relaxed) || self.is_stopping.load(Ordering::Relaxed);
        if is_over { Err(JobEnd::Cancelled) } else { Ok(()) }
    }

    /// Waits a little for something that is not there yet.
    pub(super) fn pause(&self) -> Result<(), JobEnd> {
        std::thread::sleep(PAUSE);
        self.check_cancelled()
    }

    /// Begins a stage of so many steps; 0 if their number is not known. A stage that was reached before does not begin again:
    /// where a file is written anew, the percentage stays.
    pub(super) fn stage(&self, stage: ExportStage, steps: u64) -> Result<(), JobEnd> {
        self.update(|progress| {
            if stage > progress.stage {
                (progress.stage, progress.steps_done, progress.steps) = (stage, 0, steps);
            }
        });
        self.check_cancelled()
    }

    /// Records that steps of the stage are done.
    pub(super) fn done(&self, steps: u64) -> Result<(), JobEnd> {
        self.update(|progress| progress.steps_done += steps);
        self.check_cancelled()
    }

    pub(super) fn scanned(&self, rows: u64) {
        self.update(|progress| progress.rows_scanned = rows);
    }

    pub(super) fn suppressed(&self, rows: u64) {
        self.update(|progress| progress.rows_suppressed = rows);
    }

    pub(super) fn written(&self, rows: u64) {
        self.update(|progress| progress.rows_written = rows);
    }

    /// Returns the progress.
    pub(super) fn progress(&self) -> ExportProgress {
        self.progress.get()
    }

    fn update(&self, change: impl FnOnce(&mut ExportProgress)) {
        let mut progress = self.progress.get();
        change(&mut progress);
        self.progress.set(progress);
        (self.report)(progress);
    }
}
