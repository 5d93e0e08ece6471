//! The request of an export: the body of `POST /api/v2/profiles/bulk-export`.

mod filter;
mod parse;
#[cfg(test)]
mod tests;

pub use filter::ExportFilter;

use super::{ColumnSet, PrivacyRequirement};
use crate::named_enum;
use crate::port::table::TableFormat;

named_enum! {
    /// What the rows of an export are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ExportMode {
        /// A row for each person, generalised.
        Records => "records",
        /// A row for each group, with noise.
        Aggregate => "aggregate",
    }
}

/// A request that was validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The format of the file.
    pub format: TableFormat,
    /// What the rows are.
    pub mode: ExportMode,
    /// Who is in the export.
    pub filter: ExportFilter,
    /// The columns. Records always have the pseudonym, aggregates never.
    pub columns: ColumnSet,
    /// The least number of rows of a class or group.
    pub k: u32,
    /// The least number of different values of each sensitive column in a class.
    pub l: u32,
    /// The epsilon of an aggregate, in millionths; `None` for records.
    pub micro_epsilon: Option<u32>,
}

impl ExportRequest {
    /// Returns what every class of the export must reach.
    #[must_use]
    pub const fn requirement(&self, max_suppression_pct: u8) -> PrivacyRequirement {
        PrivacyRequirement { k: self.k, l: self.l, max_suppression_pct }
    }
}
