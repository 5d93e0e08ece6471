//! The files of jobs: which of them stay.

use domain::export::{ExportJob, ExportJobId, JobState};
use domain::port::table::TableError;

use super::supervisor::ExportSupervisor;

impl ExportSupervisor {
    /// Removes all files that must not stay: those whose time is over, those of a job that has ended without a result, and those
    /// that no job is for, since a crash came between the file and the record of its job. One that could not be removed is tried
    /// again by the next call.
    pub(super) fn remove_files(&mut self) {
        let names = match self.parts.tables.names() {
            Ok(names) => names,
            Err(error) => return tracing::warn!("the files of exports could not be listed: {error}"),
        };
        let now = self.parts.clock.now_micros();
        for name in names {
            match ExportJobId::parse(&name) {
                Some(id) if self.stays(id, now) => {}
                Some(id) => self.remove_file(id),
                None => {
                    self.remove_named(&name);
                }
            }
        }
    }

    /// Returns whether the file of a job stays at the time `now`.
    fn stays(&self, id: ExportJobId, now: i64) -> bool {
        let has_result = |job: &ExportJob| {
            job.state() == JobState::Done && job.result().is_some_and(|result| result.expires_at > now)
        };
        // The file of the job that runs may be complete, and is handed out or removed when the worker reports it.
        self.running == Some(id) || self.jobs.get(&id).is_some_and(|job| has_result(&job.status.borrow()))
    }

    /// Removes the file of a job, if there is one.
    pub(super) fn remove_file(&mut self, id: ExportJobId) {
        if self.remove_named(&id.to_string())
            && let Some(job) = self.jobs.get_mut(&id)
        {
            job.rows = None;
        }
    }

    /// Removes a file. Returns whether it is gone.
    fn remove_named(&self, name: &str) -> bool {
        let removed = self.parts.tables.remove(name);
        if let Err(error) = &removed {
            tracing::error!("the file of export `{name}` could not be removed, and will be tried again: {error}");
        }
        removed.is_ok()
    }

    /// Deletes a job's file before its time.
    ///
    /// # Errors
    /// The file may still be readable.
    pub(super) fn delete_file(&mut self, id: ExportJobId) -> Result<(), TableError> {
        self.change(id, ExportJob::delete_file);
        self.parts.tables.remove(&id.to_string())?;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.rows = None;
        }
        Ok(())
    }
}
