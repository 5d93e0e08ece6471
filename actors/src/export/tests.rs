//! Jobs over generated people: what is written holds, whatever the device and the people do meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use data::{Population, PopulationOptions};
use domain::columns::Row;
use domain::day::Day;
use domain::export::{
    ClaimReport, ExportBackend, ExportClaims, ExportJobId, ExportRequest, ExportRules, WordsOfColumn,
};
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::Entropy;
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::port::table::{
    ColumnType, ColumnValues, TableError, TableFile, TableFiles, TableFormat, TableSchema, TableWriter,
};
use domain::rules::Rules;
use domain::source::Source;
use domain::splitmix64;
use jiff::tz::TimeZone;
use kernels::{
    Aggregates, Backend, BackendKind, Cpu, Generalisation, GroupColumn, KernelError, MeasureColumn, Pseudonym,
    PseudonymKey, RowClasses, SensitiveColumn, Texts,
};
use parking_lot::Mutex;

use super::device::Device;
use super::earlier::EarlierExport;
use super::job_context::{JobContext, JobEnd};
use super::run::{Run, Written};
use crate::columns::ColumnStore;

/// The time of the population's end.
const NOW: i64 = 1_769_000_000_000_000;
const PEOPLE: u32 = 1_500;

struct Mixed(AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = splitmix64::mix(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Returns the columns of generated people.
fn columns() -> ColumnStore {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    let rules = Rules {
        zone: TimeZone::get("Asia/Kolkata").expect("a zone"),
        districts: districts.collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    };
    let day = Day::at(NOW, &rules.zone);
    let context = AssemblyContext { rules: &rules, rules_fingerprint: rules.fingerprint(), policy_version: 1, day };
    let population = Population::new(PopulationOptions { users: PEOPLE.into(), ..PopulationOptions::default() });
    let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
    let columns = ColumnStore::default();
    for person in 0..PEOPLE {
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
    columns
}

fn rules() -> ExportRules {
    config::load_export(std::path::Path::new("")).expect("the embedded rules")
}

fn request(text: &str) -> ExportRequest {
    let no_rules = Rules {
        zone: TimeZone::UTC,
        districts: BTreeMap::new(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    };
    ExportRequest::parse(text.as_bytes(), &no_rules, &rules()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// A table in memory.
#[derive(Clone)]
struct MemoryTable {
    schema: TableSchema,
    batches: Vec<Vec<ColumnValues>>,
}

/// Keeps the tables that are written, and calls `when_written` after each one.
#[derive(Default)]
struct MemoryTables {
    tables: Arc<Mutex<BTreeMap<String, MemoryTable>>>,
    when_written: Option<Arc<dyn Fn(usize) + Send + Sync>>,
    written: Arc<AtomicUsize>,
}

struct MemoryWriter {
    name: String,
    table: MemoryTable,
    tables: Arc<Mutex<BTreeMap<String, MemoryTable>>>,
    when_written: Option<Arc<dyn Fn(usize) + Send + Sync>>,
    written: Arc<AtomicUsize>,
}

impl TableWriter for MemoryWriter {
    fn write(&mut self, columns: &[ColumnValues]) -> Result<(), TableError> {
        self.table.batches.push(columns.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64, TableError> {
        self.tables.lock().insert(self.name, self.table);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        if let Some(when_written) = &self.when_written {
            when_written(number);
        }
        Ok(1)
    }
}

impl TableFiles for MemoryTables {
    fn create(&self, name: &str, _: TableFormat, schema: &TableSchema) -> Result<Box<dyn TableWriter>, TableError> {
        Ok(Box::new(MemoryWriter {
            name: name.to_owned(),
            table: MemoryTable { schema: schema.clone(), batches: Vec::new() },
            tables: self.tables.clone(),
            when_written: self.when_written.clone(),
            written: self.written.clone(),
        }))
    }

    fn open(&self, _: &str) -> Result<Option<Arc<dyn TableFile>>, TableError> {
        Ok(None)
    }

    fn remove(&self, name: &str) -> Result<(), TableError> {
        self.tables.lock().remove(name);
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, TableError> {
        Ok(self.tables.lock().keys().cloned().collect())
    }
}

impl MemoryTable {
    /// Counts k and l anew.
    #[track_caller]
    fn check(&self) -> ClaimReport {
        let claims = ExportClaims::from_metadata(&self.schema.metadata).expect("claims");
        let names: Vec<String> = self.schema.columns.iter().map(|column| column.name.clone()).collect();
        let codes: Vec<Vec<u16>> = (0..names.len())
            .map(|column| {
                let batches = self.batches.iter().map(|batch| &batch[column]);
                batches
                    .flat_map(|values| if let ColumnValues::Words(codes) = values { codes.clone() } else { Vec::new() })
                    .collect()
            })
            .collect();
        let words = self.schema.columns.iter().zip(&codes).filter_map(|(column, codes)| match &column.values {
            ColumnType::Word(words) => Some((column.name.clone(), WordsOfColumn { words, codes })),
            _ => None,
        });
        let rows: usize = self.batches.iter().map(|batch| batch[0].rows()).sum();
        claims.check(&names, &words.collect(), rows as u64).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn pseudonyms(&self) -> Vec<[u8; 32]> {
        let keys = self.batches.iter().map(|batch| &batch[0]);
        keys.flat_map(|values| if let ColumnValues::Keys(keys) = values { keys.clone() } else { Vec::new() }).collect()
    }
}

const ID: ExportJobId = ExportJobId::from_random([1; 16]);

/// Runs a job. Its keys and noise are those of `seed`.
fn run(
    columns: &ColumnStore,
    tables: &MemoryTables,
    backend: Arc<dyn Backend>,
    request: &ExportRequest,
    earlier: &[EarlierExport],
    seed: u64,
) -> (Result<Written, JobEnd>, ExportBackend) {
    let (never, rules, device) = (AtomicBool::new(false), rules(), Device::new(backend));
    let entropy = Mixed(AtomicU64::new(seed));
    let job = JobContext::new([&never, &never], 1 << 30, &|_| {});
    let run = Run {
        id: ID,
        request,
        now: NOW,
        rules: &rules,
        earlier,
        columns,
        device: &device,
        tables,
        entropy: &entropy,
        job: &job,
    };
    (run.run(), device.backend())
}

fn written(tables: &MemoryTables) -> MemoryTable {
    tables.tables.lock().get(&ID.to_string()).expect("a file").clone()
}

fn taking_part(columns: &ColumnStore) -> Vec<RowId> {
    (0..PEOPLE).map(RowId).filter(|row| Row::is_opted_in(&columns.row(*row))).collect()
}

/// A device that fails or panics at one of its calls.
#[derive(Debug)]
struct Flaky {
    calls: AtomicUsize,
    fails_at: usize,
    panics: bool,
}

impl Flaky {
    fn call<T>(&self, compute: impl FnOnce(&Cpu) -> Result<T, KernelError>) -> Result<T, KernelError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.fails_at {
            assert!(!self.panics, "the device's back end panics");
            return Err(KernelError::TooManyRows { rows: 0 });
        }
        compute(&Cpu::new())
    }
}

impl Backend for Flaky {
    fn kind(&self) -> BackendKind {
        BackendKind::Cuda
    }

    fn description(&self) -> String {
        "a device that fails".to_owned()
    }

    fn pseudonyms(&self, key: &PseudonymKey, texts: &Texts<'_>) -> Result<Vec<Pseudonym>, KernelError> {
        self.call(|cpu| cpu.pseudonyms(key, texts))
    }

    fn row_classes(
        &self,
        generalisation: &Generalisation,
        columns: &[&[u32]],
        sensitive: &[SensitiveColumn<'_>],
    ) -> Result<RowClasses, KernelError> {
        self.call(|cpu| cpu.row_classes(generalisation, columns, sensitive))
    }

    fn aggregates(&self, groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<Aggregates, KernelError> {
        self.call(|cpu| cpu.aggregates(groups, measures))
    }
}

#[test]
fn a_device_that_fails_or_panics_at_any_call_changes_no_byte_of_the_file() {
    let (columns, request) =
        (columns(), request(r#"{"k": 10, "columns": ["gender", "state", "overall_risk", "cohort_tags"]}"#));
    let tables = MemoryTables::default();
    let (expected, _) = run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], 7);
    let expected = (expected.expect("written").rows_written, written(&tables));
    for panics in [false, true] {
        for fails_at in 0..3 {
            let flaky = Arc::new(Flaky { calls: AtomicUsize::new(0), fails_at, panics });
            let (end, backend) = run(&columns, &tables, flaky.clone(), &request, &[], 7);
            assert_eq!(end.expect("written").rows_written, expected.0);
            let file = written(&tables);
            assert_eq!(file.schema, expected.1.schema);
            assert!(file.batches == expected.1.batches, "call {fails_at}, panics: {panics}");
            let has_failed = flaky.calls.load(Ordering::Relaxed) > fails_at;
            assert_eq!(backend, if has_failed { ExportBackend::Cpu } else { ExportBackend::Cuda });
        }
    }
}

#[test]
fn k_and_l_hold_for_every_request_and_everybody_is_there_once_or_left_out() {
    let columns = columns();
    let all = taking_part(&columns).len() as u64;
    for (seed, text) in [
        r#"{"k": 5, "l": 1}"#,
        r#"{"k": 10, "l": 2}"#,
        r#"{"k": 25, "l": 2, "columns": ["age_bracket", "district", "income_bracket", "application_status"]}"#,
        r#"{"k": 5, "l": 3, "columns": ["region", "state", "overall_risk", "deadline_miss_risk"]}"#,
        r#"{"k": 50, "l": 1, "columns": ["total_active", "cohort_tags"]}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let (tables, request) = (MemoryTables::default(), request(text));
        let (end, _) = run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], seed as u64);
        let end = end.unwrap_or_else(|end| panic!("{text}: {end:?}"));
        let (file, report) = (written(&tables), written(&tables).check());
        assert_eq!((report.rows, end.rows_written + end.rows_suppressed), (end.rows_written, all), "{text}");
        let pseudonyms = file.pseudonyms();
        assert_eq!(pseudonyms.iter().collect::<HashSet<_>>().len(), pseudonyms.len(), "{text}");
        // The same moment and the same key give the same file, and another key other pseudonyms.
        run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], seed as u64).0.expect("written");
        assert!(written(&tables).batches == file.batches, "{text}");
        run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], 1_000).0.expect("written");
        let others: HashSet<_> = written(&tables).pseudonyms().into_iter().collect();
        assert!(pseudonyms.iter().all(|pseudonym| !others.contains(pseudonym)), "{text}");
    }
}

#[test]
fn people_who_leave_while_the_file_is_written_are_not_in_it() {
    let columns = Arc::new(columns());
    let all = taking_part(&columns);
    let leaving: Vec<RowId> = all.iter().copied().step_by(40).collect();
    let erased = columns.clone();
    let (first, second) = (leaving[0], leaving[1..].to_vec());
    let when_written: Arc<dyn Fn(usize) + Send + Sync> = Arc::new(move |number| {
        let leaving = if number == 0 { std::slice::from_ref(&first) } else { &second[..] };
        leaving.iter().for_each(|row| erased.erase(*row, 1, 1 << 40));
    });
    let tables = MemoryTables { when_written: Some(when_written), ..MemoryTables::default() };
    let request = request(r#"{"k": 10, "columns": ["gender", "age_bracket", "overall_risk"]}"#);
    let (end, _) = run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], 3);
    let end = end.expect("written in the third attempt");
    assert_eq!(tables.written.load(Ordering::Relaxed), 3);
    assert_eq!(written(&tables).check().rows, end.rows_written);
    assert!(end.rows_written <= (all.len() - leaving.len()) as u64);
    assert_eq!(end.rows_written + end.rows_suppressed, all.len() as u64);
}

#[test]
fn an_export_that_differs_from_an_earlier_one_in_few_people_is_refused() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let first = request(r#"{"k": 10, "l": 1, "columns": ["gender", "age_bracket"]}"#);
    let levels = run(&columns, &tables, Arc::new(Cpu::new()), &first, &[], 1).0.expect("written").levels;
    let earlier = [EarlierExport { request: first.clone(), levels }];
    // The same people again show nothing new.
    run(&columns, &tables, Arc::new(Cpu::new()), &first, &earlier, 2).0.expect("written");
    // A filter that leaves few people out would single them out.
    let completeness = |row: &RowId| columns.row(*row).completeness_pct;
    let mut all: Vec<u8> = taking_part(&columns).iter().map(completeness).collect();
    all.sort_unstable();
    let least = all.iter().copied().find(|pct| *pct > all[0]).expect("profiles differ");
    let few = all.iter().filter(|pct| **pct < least).count();
    assert!(few < 10, "{few} people have the lowest completeness: the population has changed");
    let narrower = request(&format!(
        r#"{{"k": 10, "l": 1, "columns": ["gender", "age_bracket"], "filter": {{"min_completeness": {least}}}}}"#
    ));
    let (end, _) = run(&columns, &tables, Arc::new(Cpu::new()), &narrower, &earlier, 3);
    assert!(matches!(end, Err(JobEnd::Failed(reason)) if reason.contains("fewer people than k")), "{end:?}");
    // Without the earlier one it is an export like any other.
    run(&columns, &tables, Arc::new(Cpu::new()), &narrower, &[], 4).0.expect("written");
}

#[test]
fn what_an_earlier_export_left_out_is_not_found_by_a_coarser_one() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let all = taking_part(&columns).len() as u64;
    let fine =
        request(r#"{"k": 10, "l": 2, "columns": ["age_bracket", "district", "employment_type", "overall_risk"]}"#);
    let first = run(&columns, &tables, Arc::new(Cpu::new()), &fine, &[], 1).0.expect("written");
    assert!((1..60).contains(&first.rows_suppressed), "{} of {all} were left out", first.rows_suppressed);
    // Everybody is in it, so the difference of both files is those whom the first one left out.
    let coarse = request(r#"{"k": 60, "l": 1, "columns": ["gender"]}"#);
    run(&columns, &tables, Arc::new(Cpu::new()), &coarse, &[], 2).0.expect("written");
    let earlier = [EarlierExport { request: fine, levels: first.levels }];
    let (end, _) = run(&columns, &tables, Arc::new(Cpu::new()), &coarse, &earlier, 3);
    assert!(matches!(end, Err(JobEnd::Failed(reason)) if reason.contains("fewer people than k")), "{end:?}");
}

#[test]
fn a_file_names_only_places_that_its_rows_have() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let request = request(r#"{"k": 5, "l": 1, "columns": ["region", "state", "district"]}"#);
    run(&columns, &tables, Arc::new(Cpu::new()), &request, &[], 1).0.expect("written");
    let file = written(&tables);
    for (number, column) in file.schema.columns.iter().enumerate() {
        let ColumnType::Word(words) = &column.values else { continue };
        let used: HashSet<u16> = file
            .batches
            .iter()
            .flat_map(|batch| match &batch[number] {
                ColumnValues::Words(codes) => codes.clone(),
                _ => Vec::new(),
            })
            .collect();
        let unused = (0..words.len() as u16).filter(|word| !used.contains(word)).count();
        assert_eq!(unused, 0, "of {}", column.name);
    }
}

#[test]
fn a_job_that_is_cancelled_or_asks_for_nobody_leaves_no_file() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let nobody = request(r#"{"filter": {"scheme_id": "sch_nobody_has"}}"#);
    let (end, _) = run(&columns, &tables, Arc::new(Cpu::new()), &nobody, &[], 1);
    assert!(matches!(end, Err(JobEnd::Failed(reason)) if reason.contains("too few people meet the filter")), "{end:?}");
    let (cancelled, never, rules) = (AtomicBool::new(true), AtomicBool::new(false), rules());
    let (device, entropy, request) = (Device::new(Arc::new(Cpu::new())), Mixed(AtomicU64::new(1)), request("{}"));
    let job = JobContext::new([&cancelled, &never], 1 << 30, &|_| {});
    let run = Run {
        id: ID,
        request: &request,
        now: NOW,
        rules: &rules,
        earlier: &[],
        columns: &columns,
        device: &device,
        tables: &tables,
        entropy: &entropy,
        job: &job,
    };
    assert_eq!(run.run().err(), Some(JobEnd::Cancelled));
    assert!(tables.names().expect("lists").is_empty());
}
