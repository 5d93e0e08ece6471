//! The audit log over HTTP, and what keeps frequent events from filling it.

mod count_table;
mod cursor;
mod entries;
mod parameters;
mod proofs;
mod service_reads;
mod state;

pub(super) use entries::{access_log, get};
pub(super) use proofs::{consistency, inclusion, tree_head};
pub(crate) use service_reads::ServiceReads;
pub(crate) use state::AuditState;
