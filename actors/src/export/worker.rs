//! The thread that runs jobs, one after the other, at a low priority.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use domain::export::{ExportBackend, ExportJobId, ExportProgress, ExportRequest, ExportRules};
use domain::port::clock::{Clock, Entropy};
use domain::port::table::TableFiles;
use kernels::Backend;
use rayon::ThreadPool;
use tokio::sync::mpsc;

use super::device::Device;
use super::execute::execute;
use super::job_context::{JobContext, JobEnd, NOT_PROTECTED};
use super::run::{EarlierExport, Run, Written};
use crate::columns::ColumnStore;

/// The niceness of the threads: what serves requests gets about ten times as much of a busy core.
const NICENESS: i32 = 10;

/// When a job ends that is refused because it would not protect somebody: so long after its start, or twice, four times, … so long
/// if it took longer to find out. The time would otherwise show why it was refused, and so whether k people meet its filter.
const FIRST_REFUSAL: Duration = Duration::from_secs(4);
/// How long a refused job waits before it looks whether it was cancelled.
const REFUSAL_CHECK: Duration = Duration::from_millis(10);

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
    // A supervisor that has ended needs no reports.
    let report = |report| drop(reports.blocking_send(report));
    while let Ok(item) = items.recv() {
        let begun = Instant::now();
        let end = pool.install(|| run_item(parts, &device, &item, &report));
        let end = match is_refused(&end) {
            true => wait_for_refusal(begun, [&item.is_cancelled, &parts.is_stopping]),
            false => end,
        };
        report(Report::Ended(item.id, end));
    }
}

fn is_refused(end: &Result<Written, JobEnd>) -> bool {
    end.as_ref().is_err_and(|end| *end == NOT_PROTECTED)
}

/// Waits until a job that is refused may end, and returns how it ends. The worker takes no other job meanwhile, whose start would
/// show when this one was refused.
fn wait_for_refusal(begun: Instant, stops: [&AtomicBool; 2]) -> Result<Written, JobEnd> {
    let end = refusal_after(begun.elapsed());
    while let Some(rest) = end.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) {
        if stops.iter().any(|stop| stop.load(Ordering::Relaxed)) {
            return Err(JobEnd::Cancelled);
        }
        std::thread::sleep(rest.min(REFUSAL_CHECK));
    }
    Err(NOT_PROTECTED)
}

/// Returns how long after its start a refused job ends, if it was refused after `worked`.
fn refusal_after(worked: Duration) -> Duration {
    let mut end = FIRST_REFUSAL;
    while end < worked {
        end *= 2;
    }
    end
}

/// Runs a job on a thread of the pool, whose other threads help.
fn run_item(
    parts: &WorkerParts,
    device: &Device,
    item: &WorkItem,
    report: &(impl Fn(Report) + Sync),
) -> Result<Written, JobEnd> {
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
    // Of a refused job nothing shows when it was refused.
    if !is_refused(&end) {
        report(Report::Progress(item.id, job.progress(), device.backend()));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_at_one_of_few_moments() {
        let ends = |worked: u64| refusal_after(Duration::from_millis(worked)).as_secs();
        assert_eq!([0, 1, 3_999, 4_000, 4_001, 8_000, 8_001, 100_000].map(ends), [4, 4, 4, 4, 8, 8, 16, 128]);
    }
}
