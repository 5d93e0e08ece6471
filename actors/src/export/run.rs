//! What a job works with, and what it gives.

use std::collections::BTreeMap;

use domain::day::format_instant;
use domain::export::{ExportFilter, ExportJobId, ExportRequest, ExportRules, LeftOutClasses};
use domain::port::clock::Entropy;
use domain::port::table::{TableError, TableFiles, TableSchema, TableWriter};
use domain::profile::SCHEMA_VERSION;
use serde_json::{Map, Value};

use super::device::Device;
use super::job_context::{JobContext, JobEnd};
use super::row_set::RowSet;
use crate::columns::ColumnStore;

/// An export of records that was made before, as the registry remembers it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EarlierExport {
    pub(super) request: ExportRequest,
    /// The name of the level of each quasi-identifier that it had.
    pub(super) levels: Map<String, Value>,
    /// What was left out of it because of those before it.
    pub(super) left_out: Vec<LeftOutClasses>,
}

/// What a job works with.
pub(super) struct Run<'r> {
    pub(super) id: ExportJobId,
    pub(super) request: &'r ExportRequest,
    /// When the rows are read, in microseconds since the Unix epoch.
    pub(super) now: i64,
    pub(super) rules: &'r ExportRules,
    /// Exports of records that could single persons out together with this one.
    pub(super) earlier: &'r [EarlierExport],
    pub(super) columns: &'r ColumnStore,
    pub(super) device: &'r Device,
    pub(super) tables: &'r dyn TableFiles,
    pub(super) entropy: &'r dyn Entropy,
    pub(super) job: &'r JobContext<'r>,
}

/// A file that was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) rows_written: u64,
    pub(super) rows_suppressed: u64,
    pub(super) information_loss_ppm: Option<u64>,
    pub(super) levels: Map<String, Value>,
    /// What was left out because of earlier exports.
    pub(super) left_out: Vec<LeftOutClasses>,
    /// The users whose rows are in the file, or are counted in it.
    pub(super) rows: RowSet,
}

impl Run<'_> {
    /// Returns the filters of the earlier exports.
    pub(super) fn earlier_filters(&self) -> impl Iterator<Item = &ExportFilter> {
        self.earlier
            .iter()
            .map(|earlier| &earlier.request.filter)
            .filter(|earlier| !earlier.excludes(&self.request.filter))
    }

    /// Returns what the metadata of every file says.
    pub(super) fn common_metadata(&self) -> BTreeMap<String, String> {
        let texts = [
            ("created_at", format_instant(self.now)),
            ("filter", self.request.filter.canonical()),
            ("schema_version", SCHEMA_VERSION.to_owned()),
        ];
        texts.map(|(name, text)| (name.to_owned(), text)).into()
    }

    /// Begins the file.
    pub(super) fn create_file(&self, schema: &TableSchema) -> Result<Box<dyn TableWriter>, JobEnd> {
        self.tables.create(&self.id.to_string(), self.request.format, schema).map_err(not_written)
    }

    /// Removes the file, which must not be read.
    pub(super) fn remove_file(&self) -> Result<(), JobEnd> {
        self.tables.remove(&self.id.to_string()).map_err(not_written)
    }
}

pub(super) fn not_written(error: TableError) -> JobEnd {
    match error {
        TableError::Unavailable { .. } => {
            tracing::error!("the file of an export could not be written: {error}");
            JobEnd::Failed("the file could not be written: the disk may be full")
        }
        error => {
            tracing::error!("the file of an export is not as it should be: {error}");
            JobEnd::Failed("a fault of the server ended the job, see its log")
        }
    }
}
