//! The audit log over HTTP, and what keeps frequent events from filling it.

mod config_changes;
mod count_table;
mod cursor;
mod denials;
mod disclosed;
mod entries;
mod parameters;
mod proofs;
mod service_reads;
mod state;

pub(crate) use config_changes::{ChangeOrigin, ConfigChanges};
pub(crate) use denials::{Denial, Denials};
pub(crate) use disclosed::Disclosed;
pub(super) use entries::{access_log, get};
pub(super) use proofs::{consistency, inclusion, tree_head};
pub(crate) use service_reads::ServiceReads;
pub(crate) use state::AuditState;
