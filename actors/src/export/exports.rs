//! The handle to the exports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use domain::export::{ExportJob, ExportJobId, ExportRequest, ExportRules, Feasibility};
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::RowId;
use domain::port::registry::Registry;
use domain::port::table::{TableError, TableFile, TableFiles};
use kernels::ChosenBackend;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::feasibility::FeasibilityCounter;
use super::forget::ForgetRow;
use super::messages::{CancelExport, ListExports, StartExport, WatchExport};
use super::refusal::{FeasibilityRefusal, StartRefusal};
use super::registered::RegisteredExports;
use super::supervisor::{ExportSupervisor, ParseRequest, SupervisorParts};
use super::worker::{self, WorkerParts};
use crate::columns::ColumnStore;

/// Reports of the worker that may wait for the supervisor. The worker waits when there are more.
const REPORTS: usize = 64;

/// The bounds of exports.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Threads that compute and write.
    pub threads: usize,
    /// Maximum number of jobs that wait.
    pub max_queued: usize,
    /// Maximum number of bytes that a job takes in memory, about.
    pub memory_bytes: u64,
    /// How long a file is kept.
    pub keep: Duration,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { threads: 2, max_queued: 16, memory_bytes: 2 << 30, keep: Duration::from_secs(24 * 3_600) }
    }
}

/// What exports work with.
pub struct ExportPorts {
    /// The rows of all users.
    pub columns: Arc<ColumnStore>,
    /// The files.
    pub tables: Arc<dyn TableFiles>,
    /// Jobs and the budget.
    pub registry: Arc<dyn Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys, ids and noise.
    pub entropy: Arc<dyn Entropy>,
    /// What computes.
    pub backend: ChosenBackend,
    /// What exports may hold.
    pub rules: Arc<ExportRules>,
    /// Reads the canonical form of a request, which the registry holds.
    pub parse: ParseRequest,
    /// The same by rules that allow every column: earlier exports are compared with, whatever is allowed now.
    pub parse_earlier: ParseRequest,
}

/// The bulk exports. Clones share them.
#[derive(Clone)]
pub struct Exports {
    supervisor: Addr<ExportSupervisor>,
    tables: Arc<dyn TableFiles>,
    feasibility: FeasibilityCounter,
    device: Arc<str>,
    entropy: Arc<dyn Entropy>,
    is_stopping: Arc<AtomicBool>,
    threads: Arc<Mutex<Option<Threads>>>,
}

struct Threads {
    supervisor: Arbiter,
    worker: JoinHandle<()>,
}

impl Exports {
    /// Starts the supervisor and the worker.
    ///
    /// # Errors
    /// A thread could not be started.
    ///
    /// # Panics
    /// If no actix system runs on this thread.
    pub fn start(options: &ExportOptions, ports: ExportPorts) -> std::io::Result<Self> {
        let ExportPorts { columns, tables, registry, clock, entropy, backend, rules, parse, parse_earlier } = ports;
        let device = backend.reason.into();
        let is_stopping = Arc::<AtomicBool>::default();
        let pool = worker::pool(options.threads)?;
        let asked = worker::pool(options.threads)?;
        let memory = options.memory_bytes;
        let feasibility = FeasibilityCounter::new(columns.clone(), rules.clone(), memory, asked, is_stopping.clone());
        let parts = WorkerParts {
            is_stopping: is_stopping.clone(),
            columns: columns.clone(),
            tables: tables.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            backend: backend.backend,
            rules: rules.clone(),
            memory_bytes: options.memory_bytes,
        };
        let (report, reports) = mpsc::channel(REPORTS);
        let (work, worker) = worker::start(parts, pool, report)?;
        let arbiter = Arbiter::try_new()?;
        let supervisor_parts = SupervisorParts {
            columns,
            registered: RegisteredExports::new(registry),
            tables: tables.clone(),
            clock,
            rules,
            parse,
            parse_earlier,
            max_queued: options.max_queued,
            keep: options.keep,
            work,
            reports: Some(reports),
        };
        let supervisor =
            ExportSupervisor::start_in_arbiter(&arbiter.handle(), move |_| ExportSupervisor::new(supervisor_parts));
        let threads = Some(Threads { supervisor: arbiter, worker });
        let threads = Arc::new(Mutex::new(threads));
        Ok(Self { supervisor, tables, feasibility, device, entropy, is_stopping, threads })
    }

    /// Returns what computes, and why it is that, for the log.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Returns the id of a job that is to be started, so that it can be recorded before.
    pub fn new_id(&self) -> ExportJobId {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        ExportJobId::from_random(random)
    }

    /// Starts the job `id`, which [`Self::new_id`] has made. It is durable when this returns.
    ///
    /// # Errors
    /// Nothing was started.
    pub async fn begin(&self, id: ExportJobId, request: ExportRequest, owner: String) -> Result<(), StartRefusal> {
        self.supervisor.send(StartExport { id, request, owner }).await.unwrap_or(Err(StartRefusal::Stopping))
    }

    /// Returns a job of that owner, which changes as it goes on; `None` if there is none.
    pub async fn watch(&self, id: ExportJobId, owner: &str) -> Option<watch::Receiver<ExportJob>> {
        self.supervisor.send(WatchExport { id, owner: owner.to_owned() }).await.ok().flatten()
    }

    /// Returns the jobs of that owner, the newest first.
    pub async fn list(&self, owner: &str) -> Vec<ExportJob> {
        self.supervisor.send(ListExports { owner: owner.to_owned() }).await.unwrap_or_default()
    }

    /// Cancels a job of that owner, or removes its file. Returns whether there is such a job.
    pub async fn cancel(&self, id: ExportJobId, owner: &str) -> bool {
        self.supervisor.send(CancelExport { id, owner: owner.to_owned() }).await.unwrap_or(false)
    }

    /// Deletes the files of exports that hold a user's row, who was erased, and forgets classes that the user may be in. Blocks.
    ///
    /// # Errors
    /// A file may still be readable.
    pub fn forget(&self, row: RowId) -> Result<(), TableError> {
        self.feasibility.forget();
        let (answer, forgotten) = oneshot::channel();
        let busy =
            || TableError::Unavailable { doing: "deleted", source: "the exports are busy, or have stopped".into() };
        self.supervisor.try_send(ForgetRow { row, answer }).map_err(|_| busy())?;
        forgotten.blocking_recv().unwrap_or_else(|_| Err(busy()))
    }

    /// Opens the file of a job; `None` if it is gone. Blocks for the disk.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(&self, id: ExportJobId) -> Result<Option<Arc<dyn TableFile>>, TableError> {
        self.tables.open(&id.to_string())
    }

    /// Returns what an export of everyone would need now. Blocks while classes are counted, if nobody has asked for some minutes.
    ///
    /// # Errors
    /// The columns are not filled yet, or the classes cannot be counted.
    pub fn feasibility(&self, k: u32, l: u32) -> Result<Feasibility, FeasibilityRefusal> {
        self.feasibility.feasibility(k, l)
    }

    /// Ends the threads, and waits for them. A job that runs is recorded as interrupted by the next start.
    pub fn stop(&self) {
        let Some(Threads { supervisor, worker }) = self.threads.lock().take() else { return };
        // The supervisor first: it must not record the end of the job that runs as if a caller had cancelled it.
        supervisor.stop();
        let is_ended = supervisor.join().is_ok();
        self.is_stopping.store(true, Ordering::Relaxed);
        let is_ended = is_ended && worker.join().is_ok();
        if !is_ended {
            tracing::error!("a thread of the exports panicked");
        }
    }
}
