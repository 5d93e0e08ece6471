//! One job, from its rows to its file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::export::ExportMode;

use super::job_context::JobEnd;
use super::run::{Run, Written};
use super::{aggregate, records};

/// Runs a job, on a device that was reset. A panic ends the job and not the server.
pub(super) fn execute(run: &Run<'_>) -> Result<Written, JobEnd> {
    let write = || match run.request.mode {
        ExportMode::Records => records::write(run),
        ExportMode::Aggregate => aggregate::write(run),
    };
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
        tracing::error!("export `{}` panicked", run.id);
        Err(JobEnd::Failed("a fault of the server ended the job, see its log"))
    })
}
