//! Bulk exports over HTTP: jobs are started, watched, downloaded and cancelled by the administrator who started them.

mod download;
mod feasibility;
mod jobs;
mod progress;
mod range;
mod state;

pub(super) use download::get as download;
pub(super) use feasibility::get as feasibility;
pub(super) use jobs::{MAX_BODY, cancel, get, list, start};
pub(super) use progress::get as progress;
pub(crate) use state::ExportState;
