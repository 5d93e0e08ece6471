//! What the supervisor is asked.

use actix::{Handler, Message};
use domain::export::{ExportJob, ExportJobId, ExportRequest};
use tokio::sync::watch;

use super::refusal::StartRefusal;
use super::supervisor::ExportSupervisor;

/// Starts a job.
#[derive(Message)]
#[rtype(result = "Result<(), StartRefusal>")]
pub(super) struct StartExport {
    pub(super) id: ExportJobId,
    pub(super) request: ExportRequest,
    pub(super) owner: String,
}

/// Returns a job of an owner, to look at or to watch.
#[derive(Message)]
#[rtype(result = "Option<watch::Receiver<ExportJob>>")]
pub(super) struct WatchExport {
    pub(super) id: ExportJobId,
    pub(super) owner: String,
}

/// Returns the jobs of an owner, the newest first.
#[derive(Message)]
#[rtype(result = "Vec<ExportJob>")]
pub(super) struct ListExports {
    pub(super) owner: String,
}

/// Cancels a job of an owner, or removes its file. Returns whether there is such a job.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct CancelExport {
    pub(super) id: ExportJobId,
    pub(super) owner: String,
}

impl Handler<StartExport> for ExportSupervisor {
    type Result = Result<(), StartRefusal>;

    fn handle(&mut self, StartExport { id, request, owner }: StartExport, _: &mut Self::Context) -> Self::Result {
        self.begin(id, &request, owner)
    }
}

impl Handler<WatchExport> for ExportSupervisor {
    type Result = Option<watch::Receiver<ExportJob>>;

    fn handle(&mut self, WatchExport { id, owner }: WatchExport, _: &mut Self::Context) -> Self::Result {
        self.watch(id, &owner)
    }
}

impl Handler<ListExports> for ExportSupervisor {
    type Result = Vec<ExportJob>;

    fn handle(&mut self, ListExports { owner }: ListExports, _: &mut Self::Context) -> Self::Result {
        self.list(&owner)
    }
}

impl Handler<CancelExport> for ExportSupervisor {
    type Result = bool;

    fn handle(&mut self, CancelExport { id, owner }: CancelExport, _: &mut Self::Context) -> Self::Result {
        self.cancel(id, &owner)
    }
}
