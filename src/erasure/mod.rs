//! Erasure of a citizen: the order of its steps, how it goes on after a failure or a crash, and its receipt.
//!
//! An erasure is a job in the registry before anything happens ([ADR 0044](../../docs/adr/0044-erasure-jobs.md)). Its steps can be
//! taken again, so one that was interrupted goes on where it was: at the next start, or after a pause.
//!
//! - `job`, `registered`: the job, and how the registry holds jobs and receipts.
//! - `erasures`: the handle: an erasure at once, one that is scheduled, and its undoing. `run`: the steps. `go_on`: jobs that
//!   are not finished.
//! - `proof`: the audit entry, and the receipt with its proofs. `verify`: what checks a receipt offline.
//! - `read_block`: profiles that nobody may read for now.
//! - `participants`: who has to forget the user, besides the store.

mod erasures;
mod go_on;
mod job;
mod participants;
mod proof;
mod read_block;
mod registered;
mod run;
#[cfg(test)]
mod tests;
mod user_eraser;
mod verify;

pub(crate) use erasures::{ErasureError, ErasureParts, Erasures, FinishedErasure, KnownErasure};
pub(crate) use job::ErasureOrigin;
pub(crate) use participants::{ExportResults, LiveTickets, PageSessions, SavedColumns};
pub(crate) use proof::{SCHEDULE_ACTION, UNDO_ACTION};
pub(crate) use read_block::ReadBlock;
pub(crate) use verify::{ReceiptCheck, check_receipt};
