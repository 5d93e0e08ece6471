//! `GET /api/v2/profile/{user_id}/export-data`: everything that is held about a citizen, as one JSON document that is streamed.
//!
//! The document is made section by section while it is sent, so it takes little memory however long the history is. If a
//! section cannot be read, the answer ends early, and what has arrived is no JSON: half an export is never taken for a whole one.

mod document;
mod handler;
mod head;
mod permits;
mod sections;
mod state;

pub(super) use handler::get;
pub(crate) use permits::ExportPermits;
pub(crate) use state::ExportDataState;

/// The JSON Schema of the document.
pub(super) const SCHEMA: &str = include_str!("schema.json");
