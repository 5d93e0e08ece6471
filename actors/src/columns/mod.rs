//! The column store: one row of 64 bytes for each user, hot, warm or cold, for exports and other reads of all users.
//!
//! Rows are filled at a start, from what a checkpoint saved or by a scan of the store, while commits go on. Each row carries
//! the version of the state that it was made of, so an older state never replaces a newer one ([ADR 0032]).
//!
//! [ADR 0032]: ../../../docs/adr/0032-columns.md

mod chunk;
mod chunk_table;
mod column_store;
mod fill;
mod hook;
mod missed;
mod saved;
mod shared_dictionaries;
mod snapshot;
mod withheld;
mod workers;

pub use column_store::ColumnStore;
pub(crate) use fill::Filler;
pub(crate) use hook::ProjectionHook;
pub(crate) use missed::MissedCommits;
pub use snapshot::ColumnSnapshot;
