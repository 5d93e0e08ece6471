//! A job of an export: its states, its progress and its stored form.

mod id;
mod progress;
mod record;
#[cfg(test)]
mod tests;

pub use id::ExportJobId;
pub use progress::{ExportProgress, ExportStage};
pub use record::InvalidJobRecord;

use serde_json::{Map, Value, json};

use super::LeftOutClasses;
use crate::day::format_instant;
use crate::named_enum;

named_enum! {
    /// The state of a job.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum JobState {
        /// Waits for its turn.
        Queued => "queued",
        /// Is being made.
        Running => "running",
        /// The file can be downloaded.
        Done => "done",
        /// There is no file, for the reason given.
        Failed => "failed",
        /// A caller ended it.
        Cancelled => "cancelled",
        /// The server ended while it ran.
        Interrupted => "interrupted",
    }
}

named_enum! {
    /// The device that computes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ExportBackend {
        /// A GPU.
        Cuda => "cuda",
        /// The processor.
        Cpu => "cpu",
    }
}

impl JobState {
    /// Returns whether the job will not change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a finished export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportResult {
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The number of rows in the file.
    pub rows_written: u64,
    /// The number of rows, or of groups, that were left out.
    pub rows_suppressed: u64,
    /// The information loss in parts per million; `None` for aggregates.
    pub information_loss_ppm: Option<u64>,
    /// The name of the level of each quasi-identifier, as [`level_names`](super::level_names) gives them.
    pub levels: Map<String, Value>,
    /// What was left out because of earlier exports.
    pub left_out: Vec<LeftOutClasses>,
    /// When the file is deleted, in microseconds since the Unix epoch.
    pub expires_at: i64,
}

/// A job does not go from its state to that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} does not become {}", .from.name(), .to.name())]
pub struct JobTransition {
    /// The state of the job.
    pub from: JobState,
    /// The state that it was to get.
    pub to: JobState,
}

/// A job. Times are in microseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob {
    /// The id.
    pub id: ExportJobId,
    /// The subject of the token that started it.
    pub owner: String,
    /// The canonical form of the request.
    pub request: String,
    /// When it was accepted.
    pub created_at: i64,
    state: JobState,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    backend: Option<ExportBackend>,
    progress: ExportProgress,
    failure: Option<String>,
    result: Option<ExportResult>,
}

impl ExportJob {
    /// Creates a job that waits for its turn.
    #[must_use]
    pub fn new(id: ExportJobId, owner: String, request: String, created_at: i64) -> Self {
        Self {
            id,
            owner,
            request,
            created_at,
            state: JobState::Queued,
            started_at: None,
            ended_at: None,
            backend: None,
            progress: ExportProgress::default(),
            failure: None,
            result: None,
        }
    }

    /// Returns the state.
    #[must_use]
    pub const fn state(&self) -> JobState {
        self.state
    }

    /// Returns the progress.
    #[must_use]
    pub const fn progress(&self) -> &ExportProgress {
        &self.progress
    }

    /// Returns the device that computes or has computed; `None` before the job has started.
    #[must_use]
    pub const fn backend(&self) -> Option<ExportBackend> {
        self.backend
    }

    /// Returns when the job ended; `None` before.
    #[must_use]
    pub const fn ended_at(&self) -> Option<i64> {
        self.ended_at
    }

    /// Returns what the export is, once it is done.
    #[must_use]
    pub const fn result(&self) -> Option<&ExportResult> {
        self.result.as_ref()
    }

    /// Begins the job.
    ///
    /// # Errors
    /// The job is not queued. Nothing has changed; so it is for the other changes.
    pub fn start(&mut self, backend: ExportBackend, now: i64) -> Result<(), JobTransition> {
        self.go(JobState::Running, &[JobState::Queued])?;
        (self.backend, self.started_at) = (Some(backend), Some(now));
        Ok(())
    }

    /// Replaces the progress, and the device if the job fell back to another one. Progress of a job that does not run is
    /// ignored: a worker may report after the job was cancelled.
    pub fn advance(&mut self, progress: ExportProgress, backend: ExportBackend) {
        if self.state == JobState::Running {
            (self.progress, self.backend) = (progress, Some(backend));
        }
    }

    /// Ends the job with a file.
    ///
    /// # Errors
    /// The job does not run.
    pub fn finish(&mut self, result: ExportResult, now: i64) -> Result<(), JobTransition> {
        self.go(JobState::Done, &[JobState::Running])?;
        (self.result, self.ended_at) = (Some(result), Some(now));
        Ok(())
    }

    /// Ends the job without a file. `reason` is shown to callers and must repeat no value of a profile. Of the progress only the
    /// rows that were scanned stay, which are those of everybody: how far a job came would show why it was refused.
    ///
    /// # Errors
    /// The job has ended.
    pub fn fail(&mut self, reason: impl Into<String>, now: i64) -> Result<(), JobTransition> {
        self.go(JobState::Failed, &[JobState::Queued, JobState::Running])?;
        (self.failure, self.ended_at) = (Some(reason.into()), Some(now));
        self.progress = ExportProgress { rows_scanned: self.progress.rows_scanned, ..ExportProgress::default() };
        Ok(())
    }

    /// Ends the job because a caller wants it to.
    ///
    /// # Errors
    /// The job has ended.
    pub fn cancel(&mut self, now: i64) -> Result<(), JobTransition> {
        self.go(JobState::Cancelled, &[JobState::Queued, JobState::Running])?;
        self.ended_at = Some(now);
        Ok(())
    }

    /// Records that the file was deleted before its time. The job stays done: whoever has downloaded the file still has it, so
    /// later exports are compared with it.
    pub fn delete_file(&mut self, now: i64) {
        if let Some(result) = &mut self.result {
            result.expires_at = result.expires_at.min(now);
        }
    }

    /// Records that the server has been started again: a job that ran is interrupted, one that waits goes on waiting.
    pub fn restarted(&mut self, now: i64) {
        if self.go(JobState::Interrupted, &[JobState::Running]).is_ok() {
            self.ended_at = Some(now);
        }
    }

    fn go(&mut self, to: JobState, allowed: &[JobState]) -> Result<(), JobTransition> {
        if !allowed.contains(&self.state) {
            return Err(JobTransition { from: self.state, to });
        }
        self.state = to;
        Ok(())
    }

    /// Returns the status as the API answers it at the time `now`.
    #[must_use]
    pub fn to_json(&self, now: i64) -> Value {
        let mut status = json!({
            "job_id": self.id.to_string(),
            "state": self.state.name(),
            "created_at": format_instant(self.created_at),
            "percent": self.percent(),
            "rows_scanned": self.progress.rows_scanned,
            "rows_written": self.result.as_ref().map_or(self.progress.rows_written, |result| result.rows_written),
            "rows_suppressed": self.result.as_ref().map_or(self.progress.rows_suppressed, |result| result.rows_suppressed),
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                status[name] = value;
            }
        };
        // The request is in canonical form, which is JSON.
        set("request", serde_json::from_str(&self.request).ok());
        set("backend", self.backend.map(|backend| json!(backend.name())));
        set("started_at", self.started_at.map(|at| json!(format_instant(at))));
        set("ended_at", self.ended_at.map(|at| json!(format_instant(at))));
        set("error", self.failure.as_ref().map(|reason| json!(reason)));
        if self.state == JobState::Running {
            set("stage", Some(json!(self.progress.stage.name())));
            set("eta_seconds", self.eta_seconds(now).map(|eta| json!(eta)));
        }
        if let Some(result) = &self.result {
            set("bytes", Some(json!(result.bytes)));
            set("expires_at", Some(json!(format_instant(result.expires_at))));
            set("levels", Some(Value::Object(result.levels.clone())));
            set("information_loss_ppm", result.information_loss_ppm.map(|loss| json!(loss)));
        }
        status
    }

    /// Returns how much of the job is done, in percent.
    #[must_use]
    pub fn percent(&self) -> u8 {
        match self.state {
            JobState::Queued => 0,
            JobState::Done => 100,
            _ => self.progress.percent(),
        }
    }

    /// Returns the seconds that the rest will take if it goes on as before; `None` before anything is done, and in a stage of
    /// which it is not known how much there is to do.
    #[must_use]
    pub fn eta_seconds(&self, now: i64) -> Option<u64> {
        if self.progress.steps == 0 {
            return None;
        }
        let so_far = u64::try_from(now.saturating_sub(self.started_at?)).ok()?;
        let done = u64::from(self.percent());
        let rest = (u128::from(so_far) * u128::from(100 - done)).checked_div(done.into())?;
        u64::try_from(rest.div_ceil(1_000_000)).ok()
    }
}
