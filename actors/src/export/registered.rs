//! Jobs and the privacy budget in the registry.

use std::sync::Arc;

use domain::export::{
    BudgetEntry, BudgetLedger, BudgetRules, ColumnRole, ExportColumn, ExportJob, ExportJobId, ExportMode,
    ExportRequest, ExportRules, JobState, QuasiIdentifier,
};
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use domain::port::table::TableFormat;
use serde_json::{Map, Value};

use super::job_context::JobEnd;
use super::run::EarlierExport;

/// How long a job is remembered after it has ended, because later exports are compared with it: 30 days.
const REMEMBERED_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Maximum number of earlier exports that a new one is compared with, the newest first.
const MAX_COMPARED: usize = 32;

/// What a job says whose rows an earlier export may hold that `export.toml` does not fit any more.
const NOT_COMPARABLE: JobEnd = JobEnd::Failed(
    "an export of the last 30 days was made under another `export.toml`, so this one cannot be compared with it: ask the operator, whose log names it",
);

/// Reads and writes the entries of exports.
pub(super) struct RegisteredExports {
    registry: Arc<dyn Registry>,
}

impl RegisteredExports {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// Returns all jobs that are remembered. One that cannot be read is left out, with a line in the log.
    pub(super) fn jobs(&self, now: i64) -> Vec<ExportJob> {
        let entries = self.registry.list(RegistryKind::EXPORT_JOB, now);
        let read = |(key, entry): (Vec<u8>, Arc<RegistryEntry>)| {
            let id = ExportJobId::from_bytes(&key)?;
            ExportJob::from_record(id, &entry.value).inspect_err(|error| tracing::error!("export `{id}`: {error}")).ok()
        };
        entries.into_iter().filter_map(read).collect()
    }

    /// Stores a job. Durable when it returns. A change after its end does not make it remembered longer.
    pub(super) fn store(&self, job: &ExportJob, now: i64) -> Result<(), RegistryError> {
        let expires_at = job.ended_at().unwrap_or(now).saturating_add(REMEMBERED_MICROS);
        let entry = RegistryEntry { value: job.to_record(), expires_at: Some(expires_at) };
        self.registry.put(RegistryKind::EXPORT_JOB, job.id.as_bytes(), entry)
    }

    /// Returns the budget with everything that was spent before.
    pub(super) fn budget(&self, rules: BudgetRules, now: i64) -> BudgetLedger {
        let entries = self.registry.list(RegistryKind::BUDGET, now).into_iter();
        let entries = entries
            .filter_map(|(key, entry)| Some((ExportJobId::from_bytes(&key)?, BudgetEntry::from_bytes(&entry.value)?)));
        BudgetLedger::restore(rules, entries)
    }

    /// Stores what a job reserves. Durable when it returns.
    pub(super) fn store_reservation(&self, job: &ExportJobId, entry: &BudgetEntry) -> Result<(), RegistryError> {
        let stored = RegistryEntry { value: entry.to_bytes(), expires_at: Some(entry.expires_at()) };
        self.registry.put(RegistryKind::BUDGET, job.as_bytes(), stored)
    }

    /// Removes what a job had reserved and has given back.
    pub(super) fn remove_reservation(&self, job: &ExportJobId) -> Result<(), RegistryError> {
        self.registry.remove(RegistryKind::BUDGET, job.as_bytes()).map(drop)
    }
}

/// Returns the exports of records that a new one is compared with, the newest first. Of several that are alike one is enough:
/// copies of one do not push others out.
///
/// # Errors
/// One of them cannot be compared with under the rules of now, so that nobody knows what both would show together.
pub(super) fn earlier<'j>(
    jobs: impl Iterator<Item = &'j ExportJob>,
    new: &ExportRequest,
    parse: impl Fn(&str) -> Option<ExportRequest>,
    rules: &ExportRules,
) -> Result<Vec<EarlierExport>, JobEnd> {
    let mut earlier: Vec<EarlierExport> = Vec::new();
    if new.mode == ExportMode::Aggregate {
        return Ok(earlier);
    }
    let mut done: Vec<&ExportJob> = jobs.filter(|job| job.state() == JobState::Done).collect();
    done.sort_by_key(|job| std::cmp::Reverse(job.created_at));
    for job in done {
        let not_comparable = || {
            tracing::error!("export `{}` does not fit `export.toml`, so no export is made that overlaps it", job.id);
            NOT_COMPARABLE
        };
        let request = match parse(&job.request) {
            Some(request) => request,
            None if is_aggregate(&job.request) => continue,
            None => return Err(not_comparable()),
        };
        let Some(result) = job.result().filter(|_| request.mode == ExportMode::Records) else { continue };
        if request.filter.excludes(&new.filter) {
            continue;
        }
        let mut levels = std::iter::once(&result.levels).chain(result.left_out.iter().map(|classes| &classes.levels));
        if !levels.all(|levels| has_its_levels(rules, &request, levels)) {
            return Err(not_comparable());
        }
        // What does not matter to the comparison is the same in all.
        let role_matters = |column: &ExportColumn| {
            matches!(rules.role(*column), ColumnRole::QuasiIdentifier(_) | ColumnRole::Sensitive)
        };
        let columns = request.columns.iter().filter(role_matters).collect();
        let request = ExportRequest { format: TableFormat::Parquet, columns, ..request };
        let found = EarlierExport { request, levels: result.levels.clone(), left_out: result.left_out.clone() };
        if !earlier.contains(&found) {
            earlier.push(found);
        }
        if earlier.len() == MAX_COMPARED {
            break;
        }
    }
    Ok(earlier)
}

/// Returns whether the canonical form of a request is that of an aggregate, which may have an epsilon that is not allowed now.
fn is_aggregate(request: &str) -> bool {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    request["mode"] == ExportMode::Aggregate.name()
}

/// Returns whether the quasi-identifiers of a request and their levels are those that an export had.
fn has_its_levels(rules: &ExportRules, request: &ExportRequest, levels: &Map<String, Value>) -> bool {
    let own = rules.finest_levels(request.columns);
    let is_known = |(quasi_identifier, _): &(QuasiIdentifier, usize)| {
        let name = levels.get(quasi_identifier.name()).and_then(Value::as_str);
        let hierarchy = rules.hierarchy(*quasi_identifier);
        let known = name.zip(hierarchy);
        known.is_some_and(|(name, hierarchy)| hierarchy.levels().iter().any(|level| level.name == name))
    };
    own.len() == levels.len() && own.iter().all(is_known)
}
