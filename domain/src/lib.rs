//! Pure rules: no I/O, no runtime, no clock, no randomness. The same input gives the same bytes.
//!
//! A table of contents, in reading order.

mod named_enum;

pub mod id;
pub mod source;
pub mod table;

mod name_table;

pub mod mask_class;
pub mod schema_version;

pub mod canonical;
mod civil;
pub mod day;
mod digits;
pub mod json;
pub mod scan;
pub mod sensitive;
pub mod splitmix64;

pub mod event;
pub mod rules;

pub mod completeness;
pub mod delta;
pub mod documents;
pub mod erasure;
pub mod erasure_receipt;
mod footprint;
pub mod integrity;
mod item_text;
pub mod migration;
mod packed_chunk;
pub mod past;
pub mod pipeline;
pub mod profile;
pub mod publication;
pub mod record;
pub mod schema;
pub mod snapshot;
mod source_trace;
pub mod state;
pub mod summary;

pub mod columns;

pub mod access;
pub mod export;
pub mod limits;

pub mod metric;
pub mod port;
