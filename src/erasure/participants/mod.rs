//! Who has to forget an erased user, besides the store. Each file is one participant; `wiring` lists them in their order.
//!
//! A later store joins the list with a file of its own.

mod exports;
mod sessions;
mod tickets;

mod columns;

pub(crate) use columns::SavedColumns;
pub(crate) use exports::ExportResults;
pub(crate) use sessions::PageSessions;
pub(crate) use tickets::LiveTickets;

use domain::port::store::StoreError;

/// Returns the error of a participant that could not forget.
fn not_forgotten(doing: &'static str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable { doing, source: error.into() }
}
