//! The thread that runs jobs, one after the other, at a low priority.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use domain::export::{ExportBackend, ExportJobId, ExportProgress, ExportRequest, ExportRules};
use domain::port::clock::{Clock, Entropy};
use domain::port::table::TableFiles;
use kernels::Backend;
use rayon::ThreadPool;
use tokio::sync::mpsc;

use super::device::Device;
use super::execute::execute;
use super::job_context::{JobContext, JobEnd};
use super::run::{EarlierExport, Run, Written};
use crate::columns::ColumnStore;

/// The niceness of the threads: what serves requests gets about ten times as much of a busy core.
const NICENESS: i32 = 10;

/// A job to be run.
pub(super) struct WorkItem {
    pub(super) id: ExportJobId,
    pub(super) request: ExportRequest,
    pub(super) earlier: Vec<EarlierExport>,
    pub(super) is_cancelled: Arc<AtomicBool>,
}

/// What the worker says about the job that it runs.
pub(super) enum Report {
    Started(ExportJobId, ExportBackend),
    Progress(ExportJobId, ExportProgress, ExportBackend),
    Ended(ExportJobId, Result<Written, JobEnd>),
}

/// What the worker works with.
pub(super) struct WorkerParts {
    pub(super) columns: Arc<ColumnStore>,
    pub(super) tables: Arc<dyn TableFiles>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) rules: Arc<ExportRules>,
    pub(super) memory_bytes: u64,
    /// Set when the server stops.
    pub(super) is_stopping: Arc<AtomicBool>,
}

/// Starts the threads that compute exports, at a low priority.
pub(super) fn pool(threads: usize) -> std::io::Result<ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("export {number}"))
        .start_handler(|_| lower_priority())
        .build();
    pool.map_err(std::io::Error::other)
}

/// Starts the worker, which runs jobs on the threads of `pool`. It ends when the sender is dropped.
pub(super) fn start(
    parts: WorkerParts,
    pool: ThreadPool,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<(Sender<WorkItem>, JoinHandle<()>)> {
    let (sender, items) = channel();
    let run = move || work(&parts, &pool, &items, &reports);
    let thread = std::thread::Builder::new().name("exports".to_owned()).spawn(run)?;
    Ok((sender, thread))
}

fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        tracing::warn!("exports run at the priority of requests, since the system did not lower theirs: {error}");
    }
}

fn work(parts: &WorkerParts, pool: &ThreadPool, items: &Receiver<WorkItem>, reports: &mpsc::Sender<Report>) {
    let device = Device::new(Arc::clone(&parts.backend));
    while let Ok(item) = items.recv() {
        pool.install(|| run_item(parts, &device, &item, reports));
    }
}

/// Runs a job on a thread of the pool, whose other threads help.
fn run_item(parts: &WorkerParts, device: &Device, item: &WorkItem, reports: &mpsc::Sender<Report>) {
    // A supervisor that has ended needs no reports.
    let report = |report| drop(reports.blocking_send(report));
    device.reset();
    report(Report::Started(item.id, device.backend()));
    let last = Cell::new((u8::MAX, ExportProgress::default().stage));
    let tell = |progress: ExportProgress| {
        // Whoever watches sees percents, and stages.
        let now = (progress.percent(), progress.stage);
        if last.replace(now) != now {
            report(Report::Progress(item.id, progress, device.backend()));
        }
    };
    let job = JobContext::new([&item.is_cancelled, &parts.is_stopping], parts.memory_bytes, &tell);
    let run = Run {
        id: item.id,
        request: &item.request,
        now: parts.clock.now_micros(),
        rules: &parts.rules,
        earlier: &item.earlier,
        columns: &parts.columns,
        device,
        tables: &*parts.tables,
        entropy: &*parts.entropy,
        job: &job,
    };
    let end = execute(&run);
    report(Report::Progress(item.id, job.progress(), device.backend()));
    report(Report::Ended(item.id, end));
}
