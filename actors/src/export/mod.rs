//! Bulk exports: a supervisor actor that queues jobs, and a thread that runs them on the device or on the CPU.
//!
//! | Stage | What happens | File |
//! |---|---|---|
//! | scanning | the rows of everyone who takes part, as of one moment | `rows.rs`, `filter.rs` |
//! | grouping | of aggregates: the statistics of groups | `aggregate.rs`, `device.rs` |
//! | searching | of aggregates: noise | `aggregate.rs` |
//! | searching | of records: the classes of equal rows, and the levels of generalisation | `coded.rs`, `classes.rs`, `records.rs` |
//! | searching | of records: what earlier exports would show together with this one | `earlier.rs` |
//! | pseudonyms | of records: a key for each row | `records.rs` |
//! | writing | the file | `columns.rs`, `aggregate_file.rs` |
//!
//! [ADR 0034] has the reasons.
//!
//! [ADR 0034]: ../../../docs/adr/0034-export-jobs.md

mod aggregate;
mod aggregate_file;
mod classes;
mod coded;
mod columns;
mod device;
mod earlier;
mod execute;
mod exports;
mod feasibility;
mod files;
mod filter;
mod forget;
mod job_context;
mod messages;
mod records;
mod refusal;
mod registered;
mod rows;
mod run;
mod supervisor;
mod worker;

use crate::row_set;
pub use exports::{ExportOptions, ExportPorts, Exports};
pub use refusal::{FeasibilityRefusal, StartRefusal};
pub use supervisor::ParseRequest;

#[cfg(test)]
mod tests;
