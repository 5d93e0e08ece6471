//! The supervisor by itself, with the test in the place of its worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use domain::export::{BudgetEntry, ExportBackend, ExportJob, ExportJobId, Hierarchy, JobState};
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::RowId;
use domain::port::registry::{Registry, RegistryKind};
use domain::port::table::TableFiles;

use super::super::job_context::JobEnd;
use super::super::refusal::StartRefusal;
use super::super::registered::RegisteredExports;
use super::super::run::Written;
use super::super::supervisor::{ExportSupervisor, ParseRequest, SupervisorParts};
use super::super::worker::{Report, WorkItem};
use super::fixture::{Mixed, NOW, erase, fill, parse, request, rules};
use super::memory::{MemoryRegistry, MemoryTables};
use crate::columns::ColumnStore;

const HOUR: i64 = 3_600 * 1_000_000;
const OWNER: &str = "adm:analyst";
const FEW_PEOPLE: u32 = 20;
/// Somebody who takes part, and whose row is in the files of the tests.
const ROW: RowId = RowId(7);
const OTHER_ROW: RowId = RowId(8);

struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What outlives a supervisor.
struct Disk {
    columns: Arc<ColumnStore>,
    registry: Arc<MemoryRegistry>,
    tables: Arc<MemoryTables>,
    clock: Arc<TestClock>,
    entropy: Arc<Mixed>,
}

/// A supervisor, and what it hands to its worker.
struct Started {
    supervisor: ExportSupervisor,
    work: Receiver<WorkItem>,
    entropy: Arc<Mixed>,
}

impl Disk {
    fn new() -> Self {
        let columns = ColumnStore::default();
        fill(&columns, FEW_PEOPLE);
        assert!(columns.row(ROW).is_opted_in(), "the population has changed");
        Self {
            columns: Arc::new(columns),
            registry: Arc::default(),
            tables: Arc::default(),
            clock: Arc::new(TestClock(AtomicI64::new(NOW))),
            entropy: Arc::new(Mixed(AtomicU64::new(1))),
        }
    }

    fn pass(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Starts a supervisor, as the process does.
    fn start(&self) -> Started {
        self.start_with(Box::new(parse))
    }

    /// Starts a supervisor that reads earlier requests in this way.
    fn start_with(&self, parse_earlier: ParseRequest) -> Started {
        let (work, items) = channel();
        let parts = SupervisorParts {
            columns: self.columns.clone(),
            registered: RegisteredExports::new(self.registry.clone()),
            tables: self.tables.clone(),
            clock: self.clock.clone(),
            rules: Arc::new(rules()),
            parse: Box::new(parse),
            parse_earlier,
            max_queued: 2,
            keep: Duration::from_secs(24 * 3_600),
            work,
            reports: None,
        };
        let mut supervisor = ExportSupervisor::new(parts);
        supervisor.run_next();
        Started { supervisor, work: items, entropy: self.entropy.clone() }
    }

    /// Returns when the stored budget of a job stops counting.
    fn budget_expires_at(&self, id: ExportJobId) -> i64 {
        let entry = self.registry.get(RegistryKind::BUDGET, id.as_bytes(), i64::MIN).expect("a stored entry");
        let expires_at = BudgetEntry::from_bytes(&entry.value).expect("an entry").expires_at();
        assert_eq!(entry.expires_at, Some(expires_at));
        expires_at
    }
}

impl Started {
    fn begin(&mut self, text: &str) -> ExportJobId {
        self.try_begin(text).expect("accepted")
    }

    fn try_begin(&mut self, text: &str) -> Result<ExportJobId, StartRefusal> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let id = ExportJobId::from_random(random);
        self.supervisor.begin(id, &request(text), OWNER.to_owned()).map(|()| id)
    }

    fn job(&self, id: ExportJobId) -> ExportJob {
        self.supervisor.watch(id, OWNER).expect("a known job").borrow().clone()
    }

    fn states(&self, ids: &[ExportJobId]) -> Vec<JobState> {
        ids.iter().map(|id| self.job(*id).state()).collect()
    }

    /// Takes the job that was handed to the worker, and begins it.
    #[track_caller]
    fn take(&mut self, id: ExportJobId) -> WorkItem {
        let item = self.work.try_recv().expect("a job for the worker");
        assert_eq!(item.id, id);
        assert!(self.work.try_recv().is_err(), "one job at a time");
        self.supervisor.take(Report::Started(id, ExportBackend::Cpu));
        item
    }

    fn end(&mut self, id: ExportJobId, end: Result<Written, JobEnd>) {
        self.supervisor.take(Report::Ended(id, end));
    }
}

fn written() -> Result<Written, JobEnd> {
    written_at(|hierarchy| hierarchy.levels()[0].name.clone())
}

/// Returns a file with all columns and these levels.
fn written_at(level: impl Fn(&Hierarchy) -> String) -> Result<Written, JobEnd> {
    let rules = rules();
    let level = |hierarchy: &Hierarchy| (hierarchy.quasi_identifier().name().to_owned(), level(hierarchy).into());
    Ok(Written {
        bytes: 1,
        rows_written: 20,
        rows_suppressed: 0,
        information_loss_ppm: Some(0),
        levels: rules.hierarchies.iter().map(level).collect(),
        left_out: Vec::new(),
        rows: [ROW].into_iter().collect(),
    })
}

const AGGREGATE: &str = r#"{"mode": "aggregate", "epsilon": 2, "columns": ["gender"]}"#;

#[test]
fn jobs_that_wait_go_on_over_a_restart_in_their_order_and_one_that_ran_is_interrupted() {
    use JobState::{Done, Interrupted, Queued, Running};
    let disk = Disk::new();
    let mut first = disk.start();
    let ids = [r#"{"k": 5}"#, r#"{"k": 6}"#, r#"{"k": 7}"#].map(|text| {
        disk.pass(1);
        first.begin(text)
    });
    let full = first.try_begin("{}");
    assert!(matches!(full, Err(StartRefusal::Busy)), "{full:?}");
    first.take(ids[0]);
    assert_eq!(first.states(&ids), [Running, Queued, Queued]);
    drop(first);
    // The process ended while the first one wrote its file.
    disk.tables.add(&ids[0].to_string());
    let mut second = disk.start();
    assert!(disk.tables.names().expect("lists").is_empty(), "a file without a finished job is destroyed");
    assert_eq!(second.states(&ids), [Interrupted, Queued, Queued]);
    let item = second.take(ids[1]);
    assert_eq!(item.request, request(r#"{"k": 6}"#));
    second.end(ids[1], written());
    second.take(ids[2]);
    assert_eq!(second.states(&ids), [Interrupted, Done, Running]);
    let third = disk.start();
    assert_eq!(third.states(&ids), [Interrupted, Done, Interrupted]);
    assert!(third.work.try_recv().is_err());
    assert!(third.supervisor.watch(ids[1], "adm:other").is_none());
}

#[test]
fn a_job_that_is_cancelled_while_it_runs_stays_so_and_its_file_is_removed() {
    let disk = Disk::new();
    let mut started = disk.start();
    let ids = [started.begin("{}"), started.begin("{}"), started.begin("{}")];
    let item = started.take(ids[0]);
    assert!(!started.supervisor.cancel(ids[0], "adm:other"));
    assert!(!item.is_cancelled.load(Ordering::Relaxed));
    assert!(started.supervisor.cancel(ids[0], OWNER) && started.supervisor.cancel(ids[1], OWNER));
    assert!(item.is_cancelled.load(Ordering::Relaxed));
    assert!(started.work.try_recv().is_err(), "the worker has not answered yet");
    // The worker noticed nothing until the file was complete.
    disk.tables.add(&ids[0].to_string());
    started.end(ids[0], written());
    assert_eq!(started.states(&ids), [JobState::Cancelled, JobState::Cancelled, JobState::Queued]);
    assert!(disk.tables.names().expect("lists").is_empty());
    started.take(ids[2]);
    started.end(ids[2], Err(JobEnd::Cancelled));
    assert_eq!(disk.start().states(&ids), [JobState::Cancelled; 3]);
}

#[test]
fn a_file_is_removed_when_its_time_is_over_and_its_job_counts_for_30_days_more() {
    let disk = Disk::new();
    let mut started = disk.start();
    let id = started.begin("{}");
    started.take(id);
    disk.tables.add(&id.to_string());
    started.end(id, written());
    assert_eq!(started.job(id).result().map(|result| result.expires_at), Some(NOW + 24 * HOUR));
    disk.pass(24 * HOUR - 1);
    started.supervisor.expire();
    assert_eq!(disk.tables.names().expect("lists").len(), 1);
    disk.pass(1);
    started.supervisor.expire();
    assert!(disk.tables.names().expect("lists").is_empty());
    // Later exports are compared with it.
    let later = started.begin(r#"{"k": 20}"#);
    assert_eq!(started.take(later).earlier.len(), 1);
    started.end(later, Err(JobEnd::Failed("a test")));
    disk.pass(30 * 24 * HOUR);
    started.supervisor.expire();
    assert!(started.supervisor.watch(id, OWNER).is_none(), "it is forgotten");
}

/// Makes the file of a job, whose row is [`ROW`].
fn make(disk: &Disk, started: &mut Started, text: &str) -> ExportJobId {
    let id = started.begin(text);
    started.take(id);
    disk.tables.add(&id.to_string());
    started.end(id, written());
    assert_eq!(started.job(id).state(), JobState::Done);
    id
}

#[test]
fn files_with_the_row_of_an_erased_user_are_deleted_and_others_stay() {
    let disk = Disk::new();
    let mut started = disk.start();
    let id = make(&disk, &mut started, "{}");
    started.supervisor.forget(OTHER_ROW).expect("nothing to delete");
    assert_eq!(disk.tables.names().expect("lists"), [id.to_string()]);
    started.supervisor.forget(ROW).expect("deleted");
    assert!(disk.tables.names().expect("lists").is_empty());
    assert_eq!(started.job(id).result().map(|result| result.expires_at), Some(NOW));
    started.supervisor.forget(ROW).expect("deleted before");
    // Of files of an earlier run it is not known whose rows they have; aggregates have none.
    make(&disk, &mut started, "{}");
    let aggregate = make(&disk, &mut started, AGGREGATE);
    let mut started = disk.start();
    started.supervisor.forget(OTHER_ROW).expect("deleted");
    assert_eq!(disk.tables.names().expect("lists"), [aggregate.to_string()]);
}

#[test]
fn a_file_is_not_handed_out_if_somebody_in_it_was_erased_when_it_was_complete() {
    for (row, state) in [(ROW, JobState::Failed), (OTHER_ROW, JobState::Done)] {
        let disk = Disk::new();
        let mut started = disk.start();
        let id = started.begin("{}");
        started.take(id);
        disk.tables.add(&id.to_string());
        started.supervisor.forget(row).expect("noted");
        started.end(id, written());
        assert_eq!(started.job(id).state(), state);
        assert_eq!(disk.tables.names().expect("lists").is_empty(), state == JobState::Failed);
        // The next job begins without what was noted.
        make(&disk, &mut started, "{}");
    }
}

#[test]
fn a_file_is_not_handed_out_if_somebody_in_it_takes_part_no_longer_when_it_is_complete() {
    for text in ["{}", AGGREGATE] {
        let disk = Disk::new();
        let mut started = disk.start();
        let id = started.begin(text);
        started.take(id);
        disk.tables.add(&id.to_string());
        // The row goes, and nobody was erased.
        erase(&disk.columns, ROW);
        started.end(id, written());
        assert_eq!(started.job(id).state(), JobState::Failed, "{text}");
        assert!(disk.tables.names().expect("lists").is_empty());
    }
}

#[test]
fn a_file_that_could_not_be_removed_is_removed_later() {
    let disk = Disk::new();
    let mut started = disk.start();
    let id = started.begin("{}");
    started.take(id);
    disk.tables.add(&id.to_string());
    started.supervisor.expire();
    assert_eq!(disk.tables.names().expect("lists").len(), 1, "it may be handed out yet");
    assert!(started.supervisor.cancel(id, OWNER));
    disk.tables.failing_removals.store(1, Ordering::Relaxed);
    started.end(id, written());
    assert_eq!((started.job(id).state(), disk.tables.names().expect("lists").len()), (JobState::Cancelled, 1));
    started.supervisor.expire();
    assert!(disk.tables.names().expect("lists").is_empty());
}

#[test]
fn an_erasure_changes_no_job_whose_file_is_gone_and_no_job_is_remembered_longer_for_it() {
    let disk = Disk::new();
    let mut started = disk.start();
    let [first, second] = ["{}", "{}"].map(|text| make(&disk, &mut started, text));
    let remembered_until =
        |id: ExportJobId| disk.registry.get(RegistryKind::EXPORT_JOB, id.as_bytes(), NOW).expect("stored").expires_at;
    let until = remembered_until(first);
    disk.pass(HOUR);
    assert!(started.supervisor.cancel(first, OWNER));
    assert_eq!(remembered_until(first), until, "it counts from the end of the job");
    disk.pass(24 * HOUR);
    started.supervisor.expire();
    for id in [first, second] {
        assert!(started.supervisor.jobs[&id].rows.is_none(), "whose rows they were is forgotten with the files");
    }
    for mut started in [started, disk.start()] {
        let writes = disk.registry.writes.load(Ordering::Relaxed);
        started.supervisor.forget(ROW).expect("nothing to delete");
        assert_eq!(disk.registry.writes.load(Ordering::Relaxed), writes);
    }
}

#[test]
fn copies_of_an_export_push_no_other_one_out_of_the_comparison() {
    let disk = Disk::new();
    let mut started = disk.start();
    let other = make(&disk, &mut started, r#"{"k": 5, "filter": {"min_completeness": 40}}"#);
    for number in 0..40 {
        disk.pass(1);
        let format = ["parquet", "arrow", "ndjson"][number % 3];
        make(&disk, &mut started, &format!(r#"{{"k": 5, "format": "{format}"}}"#));
    }
    let new = started.begin("{}");
    let compared = started.take(new).earlier;
    assert_eq!(compared.len(), 2);
    assert_eq!(
        Some(compared[1].request.filter.clone()),
        parse(&started.job(other).request).map(|request| request.filter)
    );
}

#[test]
fn no_export_is_made_that_cannot_be_compared_with_an_earlier_one() {
    let unknown_level = || written_at(|_| "a level that was renamed".to_owned());
    let no_levels = || written().map(|written| Written { levels: Default::default(), ..written });
    let cases: [(Result<Written, JobEnd>, bool); 4] =
        [(written(), true), (written(), false), (unknown_level(), true), (no_levels(), true)];
    for (case, (earlier, is_readable)) in cases.into_iter().enumerate() {
        let disk = Disk::new();
        let mut started = disk.start();
        let id = started.begin(r#"{"filter": {"state": "goa"}}"#);
        started.take(id);
        started.end(id, earlier);
        let parse_earlier: ParseRequest = if is_readable { Box::new(parse) } else { Box::new(|_| None) };
        let mut started = disk.start_with(parse_earlier);
        let new = started.begin("{}");
        let expected = if case == 0 { JobState::Queued } else { JobState::Failed };
        assert_eq!(started.job(new).state(), expected, "case {case}");
        if case == 0 {
            started.take(new);
            continue;
        }
        let reason = started.job(new).to_json(NOW)["error"].as_str().expect("a reason").to_owned();
        assert!(reason.contains("cannot be compared"), "{reason}");
        // Aggregates are not compared.
        let aggregate = started.begin(AGGREGATE);
        started.take(aggregate);
    }
}

#[test]
fn the_budget_of_a_job_counts_from_the_moment_its_result_is_handed_out() {
    let disk = Disk::new();
    let mut started = disk.start();
    let (first, id) = (started.begin("{}"), started.begin(AGGREGATE));
    assert_eq!(disk.budget_expires_at(id), NOW + 24 * HOUR, "stored before the job is accepted");
    started.take(first);
    disk.pass(20 * HOUR);
    started.end(first, written());
    assert_eq!(disk.budget_expires_at(id), NOW + 44 * HOUR, "stored before the job reads a row");
    started.take(id);
    disk.pass(2 * HOUR);
    started.end(id, written());
    assert_eq!(started.job(id).state(), JobState::Done);
    assert_eq!(disk.budget_expires_at(id), NOW + 46 * HOUR);
    // Four more jobs of the same epsilon spend the budget, over restarts, until a day after the first one was handed out.
    for _ in 0..4 {
        let mut started = disk.start();
        let id = started.begin(AGGREGATE);
        started.take(id);
        started.end(id, written());
    }
    let budget_is_spent = |started: &mut Started| {
        let refused = started.try_begin(AGGREGATE);
        matches!(refused, Err(StartRefusal::Budget(_)))
    };
    disk.pass(24 * HOUR - 1);
    assert!(budget_is_spent(&mut disk.start()));
    disk.pass(1);
    assert!(!budget_is_spent(&mut disk.start()));
}

#[test]
fn what_a_job_spends_is_given_back_only_if_it_was_cancelled_before_it_began() {
    let disk = Disk::new();
    let mut started = disk.start();
    let ids = [started.begin(AGGREGATE), started.begin(AGGREGATE), started.begin(AGGREGATE)];
    started.take(ids[0]);
    for id in ids {
        assert!(started.supervisor.cancel(id, OWNER));
    }
    started.end(ids[0], Err(JobEnd::Cancelled));
    let entries = disk.registry.list(RegistryKind::BUDGET, NOW);
    let kept: Vec<_> = entries.iter().map(|(key, _)| ExportJobId::from_bytes(key)).collect();
    assert_eq!(kept, [Some(ids[0])], "it may have read rows");
}

#[test]
fn a_result_that_cannot_be_recorded_is_not_handed_out() {
    for text in ["{}", AGGREGATE] {
        let disk = Disk::new();
        let mut started = disk.start();
        let id = started.begin(text);
        started.take(id);
        disk.tables.add(&id.to_string());
        disk.registry.fails.store(true, Ordering::Relaxed);
        started.end(id, written());
        assert_eq!(started.job(id).state(), JobState::Failed, "{text}");
        assert!(disk.tables.names().expect("lists").is_empty());
        let refused = started.try_begin(text);
        assert!(matches!(refused, Err(StartRefusal::Unavailable(_))), "{refused:?}");
        assert!(started.work.try_recv().is_err());
    }
}
