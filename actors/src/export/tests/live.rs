//! Exports with their supervisor and worker: what happens to a job that runs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use domain::export::{ExportBackend, ExportJob, ExportJobId, JobState};
use domain::port::clock::Clock;
use domain::port::table::TableFiles;
use kernels::{Backend, ChosenBackend, Cpu};
use parking_lot::Mutex;

use super::super::exports::{ExportOptions, ExportPorts, Exports};
use super::super::refusal::StartRefusal;
use super::devices::Flaky;
use super::fixture::{Mixed, NOW, fill, parse, request, rules};
use super::memory::{Hook, MemoryRegistry, MemoryTables};
use crate::columns::ColumnStore;

const OWNER: &str = "adm:analyst";
/// Few, so that a job takes milliseconds.
const FEW_PEOPLE: u32 = 300;
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &str = r#"{"k": 5, "l": 1, "columns": ["gender"]}"#;

struct Stopped;

impl Clock for Stopped {
    fn now_micros(&self) -> i64 {
        NOW
    }
}

struct Process {
    columns: Arc<ColumnStore>,
    tables: Arc<MemoryTables>,
    registry: Arc<MemoryRegistry>,
    backend: Arc<dyn Backend>,
    threads: usize,
    /// The number of the next start, so that ids differ.
    starts: u64,
}

impl Process {
    fn new(when_begun: Option<Hook>) -> Self {
        let columns = ColumnStore::default();
        fill(&columns, FEW_PEOPLE);
        let tables = MemoryTables { when_begun, ..MemoryTables::default() };
        Self {
            columns: Arc::new(columns),
            tables: Arc::new(tables),
            registry: Arc::default(),
            backend: Arc::new(Cpu::new()),
            threads: ExportOptions::default().threads,
            starts: 0,
        }
    }

    fn start(&mut self) -> Exports {
        self.starts += 1;
        let ports = ExportPorts {
            columns: self.columns.clone(),
            tables: self.tables.clone(),
            registry: self.registry.clone(),
            clock: Arc::new(Stopped),
            entropy: Arc::new(Mixed(AtomicU64::new(self.starts << 32))),
            backend: ChosenBackend { backend: self.backend.clone(), reason: String::new() },
            rules: Arc::new(rules()),
            parse: Box::new(parse),
            parse_earlier: Box::new(parse),
        };
        let options = ExportOptions { threads: self.threads, ..ExportOptions::default() };
        Exports::start(&options, ports).expect("threads")
    }
}

async fn begin(exports: &Exports) -> ExportJobId {
    begin_as(exports, REQUEST).await.expect("accepted")
}

async fn begin_as(exports: &Exports, text: &str) -> Result<ExportJobId, StartRefusal> {
    let id = exports.new_id();
    exports.begin(id, request(text), OWNER.to_owned()).await.map(|()| id)
}

/// Waits until a job has ended, and returns it.
async fn ended(exports: &Exports, id: ExportJobId) -> ExportJob {
    let mut job = exports.watch(id, OWNER).await.expect("a known job");
    job.wait_for(|job| job.state().is_final()).await.expect("the supervisor runs").clone()
}

/// Returns a hook that reports when the first file is begun, and then waits.
fn gate() -> (Hook, Receiver<()>, SyncSender<()>) {
    let (reached, is_reached) = sync_channel(0);
    let (open, is_open) = sync_channel(0);
    let is_open = Mutex::new(is_open);
    let hook: Hook = Arc::new(move |number| {
        if number == 0 {
            reached.send(()).expect("the test waits");
            is_open.lock().recv().expect("the test goes on");
        }
    });
    (hook, is_reached, open)
}

fn system<F: Future<Output = ()>>(test: F) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn a_job_that_is_cancelled_while_it_writes_leaves_no_file_and_the_next_one_runs() {
    system(async {
        let (hook, is_reached, open) = gate();
        let mut process = Process::new(Some(hook));
        let exports = process.start();
        let (first, second) = (begin(&exports).await, begin(&exports).await);
        is_reached.recv().expect("the job writes");
        let mut running = exports.watch(first, OWNER).await.expect("a known job");
        running.wait_for(|job| job.state() == JobState::Running).await.expect("the supervisor runs");
        assert!(exports.cancel(first, OWNER).await);
        assert_eq!(ended(&exports, first).await.state(), JobState::Cancelled);
        open.send(()).expect("the worker waits");
        assert_eq!(ended(&exports, second).await.state(), JobState::Done);
        assert_eq!(ended(&exports, first).await.state(), JobState::Cancelled);
        assert_eq!(process.tables.names().expect("lists"), [second.to_string()]);
        exports.stop();
    });
}

#[test]
fn a_stop_interrupts_the_job_that_runs_and_the_next_start_runs_those_that_wait() {
    system(async {
        let (hook, is_reached, open) = gate();
        let mut process = Process::new(Some(hook));
        let exports = process.start();
        let (first, second) = (begin(&exports).await, begin(&exports).await);
        is_reached.recv().expect("the job writes");
        // Before the supervisor has recorded that it runs, it would be run again.
        let mut running = exports.watch(first, OWNER).await.expect("a known job");
        running.wait_for(|job| job.state() == JobState::Running).await.expect("the supervisor runs");
        let stopping = exports.clone();
        let stop = std::thread::spawn(move || stopping.stop());
        // The supervisor ends first. No job of a supervisor that has ended is known.
        while exports.watch(first, OWNER).await.is_some() {
            tokio::task::yield_now().await;
        }
        open.send(()).expect("the worker waits");
        stop.join().expect("the threads have ended");
        assert!(begin_as(&exports, REQUEST).await.is_err());
        let exports = process.start();
        assert_eq!(ended(&exports, first).await.state(), JobState::Interrupted);
        assert_eq!(ended(&exports, second).await.state(), JobState::Done);
        assert_eq!(process.tables.names().expect("lists"), [second.to_string()]);
        exports.stop();
    });
}

#[test]
fn a_panic_of_the_worker_ends_its_job_and_no_other() {
    system(async {
        let panics: Hook = Arc::new(|number| assert!(number != 0, "the worker panics"));
        let mut process = Process::new(Some(panics));
        let exports = process.start();
        let (first, second) = (begin(&exports).await, begin(&exports).await);
        let failed = ended(&exports, first).await;
        assert_eq!(failed.state(), JobState::Failed);
        let reason = failed.to_json(NOW)["error"].as_str().expect("a reason").to_owned();
        assert!(reason.contains("a fault of the server"), "{reason}");
        assert_eq!(ended(&exports, second).await.state(), JobState::Done);
        assert_eq!(process.tables.names().expect("lists"), [second.to_string()]);
        exports.stop();
    });
}

#[test]
fn a_job_that_is_refused_at_once_ends_as_late_as_any_other_refused_job() {
    system(async {
        let mut process = Process::new(None);
        let exports = process.start();
        let begun = Instant::now();
        let refused = begin_as(&exports, r#"{"k": 1000000}"#).await.expect("accepted");
        let next = begin(&exports).await;
        assert_eq!(ended(&exports, refused).await.state(), JobState::Failed);
        assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(ended(&exports, next).await.state(), JobState::Done);
        exports.stop();
    });
}

#[test]
fn a_job_falls_back_to_the_cpu_and_the_next_one_tries_the_device_again() {
    system(async {
        let mut process = Process::new(None);
        process.backend = Arc::new(Flaky::failing_at(0));
        let exports = process.start();
        for backend in [ExportBackend::Cpu, ExportBackend::Cuda] {
            let id = begin(&exports).await;
            let job = ended(&exports, id).await;
            assert_eq!((job.state(), job.backend()), (JobState::Done, Some(backend)));
        }
        exports.stop();
    });
}

#[test]
fn feasibility_has_the_levels_of_an_export_of_everyone() {
    system(async {
        let mut process = Process::new(None);
        let exports = process.start();
        let feasibility = exports.feasibility(5, 1).expect("the columns are filled");
        let id = begin_as(&exports, r#"{"k": 5, "l": 1}"#).await.expect("accepted");
        let job = ended(&exports, id).await;
        let levels = &feasibility.to_json()["levels"];
        assert_eq!(*levels, serde_json::Value::Object(job.result().expect("written").levels.clone()));
        exports.stop();
    });
}

#[test]
fn a_question_about_feasibility_does_not_wait_for_the_job_that_runs() {
    system(async {
        let (hook, is_reached, open) = gate();
        let mut process = Process::new(Some(hook));
        process.threads = 1;
        let exports = process.start();
        let id = begin(&exports).await;
        is_reached.recv().expect("the job writes");
        let (answer, is_answered) = sync_channel(1);
        let asking = exports.clone();
        let question = std::thread::spawn(move || answer.send(asking.feasibility(5, 1).is_ok()));
        let answered = is_answered.recv_timeout(PATIENCE);
        open.send(()).expect("the worker waits");
        question.join().expect("no panic").expect("the test listens");
        assert_eq!(answered, Ok(true), "while the job runs");
        assert_eq!(ended(&exports, id).await.state(), JobState::Done);
        exports.stop();
    });
}
