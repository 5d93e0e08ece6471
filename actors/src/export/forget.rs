//! Exports forget an erased user: files that hold a row of the user are deleted.
//!
//! A job that runs leaves out whoever is gone before its file is complete. The row of a user who goes just after that is found
//! when the file is handed out.

use actix::{Handler, Message};
use domain::export::{ExportJob, ExportJobId, ExportMode};
use domain::port::journal::RowId;
use domain::port::table::TableError;
use tokio::sync::oneshot;

use super::job_context::JobEnd;
use super::run::Written;
use super::supervisor::{ExportSupervisor, KnownJob};

/// What a job that was overtaken says. It names nobody, and not even that somebody was erased.
pub(super) const OVERTAKEN: JobEnd = JobEnd::Failed("people left while the file was made ready: try again");

/// Deletes the files that hold a user's row.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ForgetRow {
    pub(super) row: RowId,
    pub(super) answer: oneshot::Sender<Result<(), TableError>>,
}

impl ExportSupervisor {
    /// Deletes the files that hold a user's row, or may hold it: of those of earlier runs it is not known whose rows they
    /// hold.
    ///
    /// # Errors
    /// A file may still be readable.
    pub(super) fn forget(&mut self, row: RowId) -> Result<(), TableError> {
        if self.running.is_some() {
            self.left_meanwhile.push(row);
        }
        for id in self.files_with(row)? {
            self.delete_file(id)?;
        }
        Ok(())
    }

    /// Returns the jobs whose files hold a user's row, or may hold it. That of the job that runs is found when it is handed out.
    fn files_with(&self, row: RowId) -> Result<Vec<ExportJobId>, TableError> {
        let names = self.parts.tables.names()?;
        let ids = names.iter().filter_map(|name| ExportJobId::parse(name));
        Ok(ids.filter(|id| self.running != Some(*id) && self.may_have(id, row)).collect())
    }

    fn may_have(&self, id: &ExportJobId, row: RowId) -> bool {
        let may_have = |job: &KnownJob| {
            self.is_of_records(&job.status.borrow()) && job.rows.as_ref().is_none_or(|rows| rows.has(row))
        };
        self.jobs.get(id).is_none_or(may_have)
    }

    /// Returns whether a file was written for somebody who has left meanwhile: was erased, or takes part no longer.
    pub(super) fn is_overtaken(&self, written: &Written) -> bool {
        let columns = &self.parts.columns;
        let takes_part = |row: RowId| columns.is_still_opted_in(row, columns.row(row).version().generation());
        self.left_meanwhile.iter().any(|row| written.rows.has(*row)) || !written.rows.iter().all(takes_part)
    }

    /// Returns whether a job's file has a row for each person. One whose request cannot be read any more may have.
    pub(super) fn is_of_records(&self, job: &ExportJob) -> bool {
        self.parse_earlier(&job.request).is_none_or(|request| request.mode == ExportMode::Records)
    }
}

impl Handler<ForgetRow> for ExportSupervisor {
    type Result = ();

    fn handle(&mut self, ForgetRow { row, answer }: ForgetRow, _: &mut Self::Context) {
        // An erasure that does not wait any more asks again.
        let _ = answer.send(self.forget(row));
    }
}
