//! Jobs and the privacy budget in the registry.

use std::sync::Arc;

use domain::export::{
    BudgetEntry, BudgetLedger, BudgetRules, ExportJob, ExportJobId, ExportMode, ExportRequest, JobState,
};
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};

use super::run::EarlierExport;

/// How long a job is remembered after it has ended, because later exports are compared with it: 30 days.
const REMEMBERED_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Maximum number of earlier exports that a new one is compared with, the newest first.
const MAX_COMPARED: usize = 32;

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

/// Returns the exports of records that a new one is compared with, the newest first.
pub(super) fn earlier<'j>(
    jobs: impl Iterator<Item = &'j ExportJob>,
    new: &ExportRequest,
    parse: impl Fn(&str) -> Option<ExportRequest>,
) -> Vec<EarlierExport> {
    let mut done: Vec<&ExportJob> = jobs.filter(|job| job.state() == JobState::Done).collect();
    done.sort_by_key(|job| std::cmp::Reverse(job.created_at));
    let earlier = done.into_iter().filter_map(|job| {
        let request = parse(&job.request);
        if request.is_none() {
            tracing::error!("export `{}` cannot be read any more, so later ones are not compared with it", job.id);
        }
        let request = request.filter(|request| request.mode == ExportMode::Records)?;
        if request.filter.excludes(&new.filter) {
            return None;
        }
        Some(EarlierExport { request, levels: job.result()?.levels.clone() })
    });
    earlier.take(MAX_COMPARED).collect()
}
