//! Generated people, requests, and jobs without a supervisor.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use data::{Population, PopulationOptions};
use domain::columns::Row;
use domain::day::Day;
use domain::export::{ExportBackend, ExportJobId, ExportProgress, ExportRequest, ExportRules};
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::Entropy;
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::rules::Rules;
use domain::source::Source;
use domain::splitmix64;
use jiff::tz::TimeZone;
use kernels::{Backend, Cpu};

use super::super::device::Device;
use super::super::execute::execute;
use super::super::job_context::{JobContext, JobEnd};
use super::super::run::{EarlierExport, Run, Written};
use super::memory::{MemoryTable, MemoryTables};
use crate::columns::ColumnStore;

/// The time of the population's end.
pub(super) const NOW: i64 = 1_769_000_000_000_000;
pub(super) const PEOPLE: u32 = 1_500;

/// Bytes that differ from call to call.
pub(super) struct Mixed(pub(super) AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = splitmix64::mix(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn profile_rules() -> Rules {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    Rules {
        zone: TimeZone::get("Asia/Kolkata").expect("a zone"),
        districts: districts.collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    }
}

/// Returns the columns of generated people.
pub(super) fn columns() -> ColumnStore {
    let columns = ColumnStore::default();
    fill(&columns, PEOPLE);
    columns
}

/// Fills columns with generated people, and lets jobs begin.
pub(super) fn fill(columns: &ColumnStore, people: u32) {
    let rules = profile_rules();
    let day = Day::at(NOW, &rules.zone);
    let context = AssemblyContext { rules: &rules, rules_fingerprint: rules.fingerprint(), policy_version: 1, day };
    let population = Population::new(PopulationOptions { users: people.into(), ..PopulationOptions::default() });
    let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
    for person in 0..people {
        let mut state = None;
        for event in population.first_events(person.into()) {
            let source = Source::parse(event.source).expect("a source");
            let event = validate(&event.json, source, &rules, NOW).expect("a valid event");
            if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                state = Some(change.finish(&event.user, NOW, 1).state);
            }
        }
        columns.loaded(RowId(person), &state.expect("a state"));
    }
    columns.set_ready();
}

/// Returns the embedded rules of exports.
pub(super) fn rules() -> ExportRules {
    config::load_export(Path::new("")).expect("the embedded rules")
}

/// Reads a request.
pub(super) fn parse(text: &str) -> Option<ExportRequest> {
    ExportRequest::parse(text.as_bytes(), &profile_rules(), &rules()).ok()
}

pub(super) fn request(text: &str) -> ExportRequest {
    parse(text).unwrap_or_else(|| panic!("{text} is not valid"))
}

pub(super) const ID: ExportJobId = ExportJobId::from_random([1; 16]);

/// A job that ran.
pub(super) struct Ran {
    pub(super) end: Result<Written, JobEnd>,
    pub(super) backend: ExportBackend,
    /// What was reported while it ran.
    pub(super) progress: Vec<ExportProgress>,
}

impl Ran {
    #[track_caller]
    pub(super) fn written(self) -> Written {
        self.end.unwrap_or_else(|end| panic!("{end:?}"))
    }
}

/// Runs a job on the CPU. Its keys and noise are those of `seed`.
pub(super) fn run(
    columns: &ColumnStore,
    tables: &MemoryTables,
    request: &ExportRequest,
    earlier: &[EarlierExport],
    seed: u64,
) -> Ran {
    let cpu: Arc<dyn Backend> = Arc::new(Cpu::new());
    run_on(&Device::new(cpu), &AtomicBool::new(false), (columns, tables), request, earlier, seed)
}

/// Runs a job on a device.
pub(super) fn run_on(
    device: &Device,
    is_cancelled: &AtomicBool,
    (columns, tables): (&ColumnStore, &MemoryTables),
    request: &ExportRequest,
    earlier: &[EarlierExport],
    seed: u64,
) -> Ran {
    let (never, rules, entropy) = (AtomicBool::new(false), rules(), Mixed(AtomicU64::new(seed)));
    let progress = RefCell::new(Vec::new());
    let report = |step| progress.borrow_mut().push(step);
    let job = JobContext::new([is_cancelled, &never], 1 << 30, &report);
    let run = Run {
        id: ID,
        request,
        now: NOW,
        rules: &rules,
        earlier,
        columns,
        device,
        tables,
        entropy: &entropy,
        job: &job,
    };
    let end = execute(&run);
    Ran { end, backend: device.backend(), progress: progress.take() }
}

/// Returns the table of the last job that ran.
pub(super) fn table(tables: &MemoryTables) -> MemoryTable {
    tables.table(&ID.to_string())
}

/// Returns the rows of everyone who takes part.
pub(super) fn taking_part(columns: &ColumnStore) -> Vec<RowId> {
    (0..PEOPLE).map(RowId).filter(|row| Row::is_opted_in(&columns.row(*row))).collect()
}

/// Erases a person.
pub(super) fn erase(columns: &ColumnStore, row: RowId) {
    columns.erase(row, 1, 1 << 40);
}

/// Returns the numbers of people by key.
pub(super) fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}
