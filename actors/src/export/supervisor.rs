//! The supervisor actor: it owns the queue, the budget and what is known of jobs, and hands one job after the other to the
//! worker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use actix::fut::{ActorFutureExt, WrapFuture};
use actix::{Actor, AsyncContext, Context};
use domain::export::{BudgetLedger, ExportJob, ExportJobId, ExportRequest, ExportResult, ExportRules, JobState};
use domain::port::clock::Clock;
use domain::port::journal::RowId;
use domain::port::table::TableFiles;
use tokio::sync::{mpsc, watch};

use super::forget::OVERTAKEN;
use super::job_context::JobEnd;
use super::refusal::StartRefusal;
use super::registered::{RegisteredExports, earlier};
use super::row_set::RowSet;
use super::run::Written;
use super::worker::{Report, WorkItem};
use crate::columns::ColumnStore;
use crate::metric::ExportMetrics;

/// How often files that have expired are removed.
const EXPIRY_CHECK: Duration = Duration::from_secs(30);

/// A job that the supervisor knows.
pub(super) struct KnownJob {
    /// What watchers see; changed by the supervisor alone.
    pub(super) status: watch::Sender<ExportJob>,
    is_cancelled: Arc<AtomicBool>,
    /// Whose rows its file holds; `None` if there is no file, or if that is not known, since the file is of an earlier run.
    pub(super) rows: Option<RowSet>,
}

/// Reads the canonical form of a request again.
pub type ParseRequest = Box<dyn Fn(&str) -> Option<ExportRequest> + Send>;

/// What the supervisor works with.
pub(super) struct SupervisorParts {
    pub(super) columns: Arc<ColumnStore>,
    pub(super) registered: RegisteredExports,
    pub(super) tables: Arc<dyn TableFiles>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Arc<ExportRules>,
    pub(super) parse: ParseRequest,
    pub(super) parse_earlier: ParseRequest,
    pub(super) max_queued: usize,
    pub(super) keep: Duration,
    /// Jobs for the worker.
    pub(super) work: Sender<WorkItem>,
    /// What the worker reports.
    pub(super) reports: Option<mpsc::Receiver<Report>>,
}

/// The actor.
pub(super) struct ExportSupervisor {
    pub(super) parts: SupervisorParts,
    /// `None` once it listens.
    reports: Option<mpsc::Receiver<Report>>,
    metrics: ExportMetrics,
    budget: BudgetLedger,
    pub(super) jobs: BTreeMap<ExportJobId, KnownJob>,
    queue: VecDeque<ExportJobId>,
    pub(super) running: Option<ExportJobId>,
    /// Users who were erased since the job that runs has begun.
    pub(super) left_meanwhile: Vec<RowId>,
}

impl ExportSupervisor {
    /// Returns the supervisor with the jobs of earlier runs: those that ran are interrupted, those that waited go on waiting.
    pub(super) fn new(mut parts: SupervisorParts) -> Self {
        let now = parts.clock.now_micros();
        let budget = parts.registered.budget(parts.rules.budget, now);
        let mut supervisor = Self {
            reports: parts.reports.take(),
            metrics: ExportMetrics::register(),
            budget,
            jobs: BTreeMap::new(),
            queue: VecDeque::new(),
            running: None,
            left_meanwhile: Vec::new(),
            parts,
        };
        let mut jobs = supervisor.parts.registered.jobs(now);
        jobs.sort_by_key(|job| job.created_at);
        for mut job in jobs {
            if job.state() == JobState::Running {
                job.restarted(now);
                supervisor.store(&job, now);
            }
            if job.state() == JobState::Queued {
                supervisor.queue.push_back(job.id);
            }
            supervisor.know(job);
        }
        supervisor.remove_files();
        supervisor
    }

    fn know(&mut self, job: ExportJob) {
        let id = job.id;
        self.jobs.insert(id, KnownJob { status: watch::Sender::new(job), is_cancelled: Arc::default(), rows: None });
    }

    /// Reads the request of an earlier job.
    pub(super) fn parse_earlier(&self, request: &str) -> Option<ExportRequest> {
        (self.parts.parse_earlier)(request)
    }

    /// Stores a job's record. A record that cannot be stored is that of before after a restart, which is then interrupted.
    fn store(&self, job: &ExportJob, now: i64) {
        if let Err(error) = self.parts.registered.store(job, now) {
            tracing::error!("the record of export `{}` could not be stored: {error}", job.id);
        }
    }

    /// Accepts the job `id`. It is durable when this returns.
    pub(super) fn begin(
        &mut self,
        id: ExportJobId,
        request: &ExportRequest,
        owner: String,
    ) -> Result<(), StartRefusal> {
        if self.queue.len() >= self.parts.max_queued {
            return Err(StartRefusal::Busy);
        }
        let now = self.parts.clock.now_micros();
        let job = ExportJob::new(id, owner, request.canonical(), now);
        if let Some(micro_epsilon) = request.micro_epsilon {
            let entry = self.budget.reserve(job.id, micro_epsilon, now).map_err(StartRefusal::Budget)?;
            if let Err(error) = self.parts.registered.store_reservation(&job.id, &entry) {
                // It may be there after a restart, and is spent then.
                let _ = self.budget.release(&job.id);
                return Err(StartRefusal::Unavailable(error));
            }
        }
        if let Err(error) = self.parts.registered.store(&job, now) {
            self.give_back(&job.id);
            return Err(StartRefusal::Unavailable(error));
        }
        self.queue.push_back(job.id);
        self.know(job);
        self.run_next();
        Ok(())
    }

    /// Gives back what a job has reserved, if it has read no row.
    fn give_back(&mut self, id: &ExportJobId) {
        if self.budget.release(id).is_ok()
            && let Err(error) = self.parts.registered.remove_reservation(id)
        {
            tracing::warn!("the budget of export `{id}` stays reserved until it expires: {error}");
        }
    }

    /// Spends the epsilon of a job that is about to read rows, or to hand its result out: durable when it returns.
    fn spend(&mut self, id: ExportJobId, request: &ExportRequest) -> Result<(), JobEnd> {
        if request.micro_epsilon.is_none() {
            return Ok(());
        }
        let entry = self.budget.spend(&id, self.parts.clock.now_micros());
        let entry = entry.ok_or(JobEnd::Failed("the job has no budget any more"))?;
        self.parts.registered.store_reservation(&id, &entry).map_err(|error| {
            tracing::error!("the budget of export `{id}` could not be stored: {error}");
            JobEnd::Failed("the privacy budget could not be recorded")
        })
    }

    /// Hands the next job to the worker, if it has none.
    pub(super) fn run_next(&mut self) {
        while self.running.is_none() {
            let Some(id) = self.queue.pop_front() else { return };
            let request = self.jobs.get(&id).and_then(|job| (self.parts.parse)(&job.status.borrow().request));
            let Some(request) = request else {
                self.end(
                    id,
                    Err(JobEnd::Failed("the rules of exports have changed, and no longer allow this request")),
                );
                continue;
            };
            if let Err(end) = self.spend(id, &request) {
                self.end(id, Err(end));
                continue;
            }
            let others: Vec<ExportJob> = self.jobs.values().map(|job| job.status.borrow().clone()).collect();
            let earlier = match earlier(others.iter(), &request, &self.parts.parse_earlier, &self.parts.rules) {
                Ok(earlier) => earlier,
                Err(end) => {
                    self.end(id, Err(end));
                    continue;
                }
            };
            let Some(job) = self.jobs.get(&id) else { continue };
            let item = WorkItem { id, earlier, request, is_cancelled: job.is_cancelled.clone() };
            match self.parts.work.send(item) {
                Ok(()) => self.running = Some(id),
                Err(_) => self.end(id, Err(JobEnd::Failed("the worker of exports has ended, see the log"))),
            }
        }
    }

    /// Changes a job, stores it and tells its watchers.
    pub(super) fn change(&self, id: ExportJobId, change: impl FnOnce(&mut ExportJob, i64)) {
        let Some(known) = self.jobs.get(&id) else { return };
        let now = self.parts.clock.now_micros();
        let mut job = known.status.borrow().clone();
        change(&mut job, now);
        self.store(&job, now);
        known.status.send_replace(job);
    }

    fn end(&mut self, id: ExportJobId, end: Result<Written, JobEnd>) {
        if let Err(end) = end.and_then(|written| self.hand_out(id, written)) {
            // There may be one also if the worker has failed after it.
            self.remove_file(id);
            // A change that the job's state does not allow is left out: a job that was cancelled stays so.
            self.change(id, |job, now| {
                let _ = match end {
                    JobEnd::Cancelled => job.cancel(now),
                    JobEnd::Failed(reason) => job.fail(reason, now),
                };
            });
        }
        self.count(id);
        if self.running == Some(id) {
            self.running = None;
            self.left_meanwhile.clear();
        }
    }

    /// Makes the file of a job available. What the file spends, and that it was handed out, is durable before: later exports are
    /// compared with it.
    fn hand_out(&mut self, id: ExportJobId, written: Written) -> Result<(), JobEnd> {
        if self.is_overtaken(&written) {
            return Err(OVERTAKEN);
        }
        let now = self.parts.clock.now_micros();
        let rows = written.rows.clone();
        let known = self.jobs.get(&id).ok_or(JobEnd::Cancelled)?;
        let mut job = known.status.borrow().clone();
        let keep = i64::try_from(self.parts.keep.as_micros()).unwrap_or(i64::MAX);
        // One that was cancelled meanwhile stays so.
        job.finish(result(written, now.saturating_add(keep)), now).map_err(|_| JobEnd::Cancelled)?;
        if let Some(request) = (self.parts.parse)(&job.request) {
            self.spend(id, &request)?;
        }
        self.parts.registered.store(&job, now).map_err(|error| {
            tracing::error!("the record of export `{id}` could not be stored: {error}");
            JobEnd::Failed("the job could not be recorded")
        })?;
        let is_of_records = self.is_of_records(&job);
        if let Some(known) = self.jobs.get_mut(&id) {
            known.rows = is_of_records.then_some(rows);
            known.status.send_replace(job);
        }
        Ok(())
    }

    /// Counts a job that has ended.
    fn count(&self, id: ExportJobId) {
        if let Some(job) = self.jobs.get(&id) {
            self.metrics.count(&job.status.borrow());
        }
    }

    /// Returns a job of an owner, to look at or to watch.
    pub(super) fn watch(&self, id: ExportJobId, owner: &str) -> Option<watch::Receiver<ExportJob>> {
        let job = self.jobs.get(&id).filter(|job| job.status.borrow().owner == owner)?;
        Some(job.status.subscribe())
    }

    /// Returns the jobs of an owner, the newest first.
    pub(super) fn list(&self, owner: &str) -> Vec<ExportJob> {
        let mut jobs: Vec<ExportJob> = self.jobs.values().map(|job| job.status.borrow().clone()).collect();
        jobs.retain(|job| job.owner == owner);
        jobs.sort_by_key(|job| (std::cmp::Reverse(job.created_at), job.id));
        jobs
    }

    /// Cancels a job of an owner, or removes its file. Returns whether there is such a job.
    pub(super) fn cancel(&mut self, id: ExportJobId, owner: &str) -> bool {
        let Some(job) = self.jobs.get(&id).filter(|job| job.status.borrow().owner == owner) else { return false };
        job.is_cancelled.store(true, Ordering::Relaxed);
        let was_done = job.status.borrow().state() == JobState::Done;
        let position = self.queue.iter().position(|queued| *queued == id);
        if let Some(position) = position {
            self.queue.remove(position);
            self.give_back(&id);
        }
        self.change(id, |job, now| {
            job.delete_file(now);
            let _ = job.cancel(now);
        });
        if position.is_some() {
            self.count(id);
        }
        if was_done {
            self.remove_file(id);
        }
        true
    }

    /// Takes the next report of the worker when there is one, and goes on until the worker has ended.
    fn listen(&self, mut reports: mpsc::Receiver<Report>, context: &mut Context<Self>) {
        let next = async move { (reports.recv().await, reports) };
        let taken = next.into_actor(self).map(|(report, reports), supervisor, context| {
            if let Some(report) = report {
                supervisor.take(report);
                supervisor.listen(reports, context);
            }
        });
        context.spawn(taken);
    }

    /// Records what the worker reports.
    pub(super) fn take(&mut self, report: Report) {
        match report {
            Report::Started(id, backend) => self.change(id, |job, now| {
                let _ = job.start(backend, now);
            }),
            Report::Progress(id, progress, backend) => {
                if let Some(job) = self.jobs.get(&id) {
                    job.status.send_modify(|job| job.advance(progress, backend));
                }
            }
            Report::Ended(id, end) => {
                self.end(id, end);
                self.run_next();
            }
        }
    }

    /// Removes files whose time is over, and forgets jobs that the registry has forgotten.
    pub(super) fn expire(&mut self) {
        self.remove_files();
        let now = self.parts.clock.now_micros();
        let remembered: Vec<ExportJobId> = self.parts.registered.jobs(now).into_iter().map(|job| job.id).collect();
        self.jobs.retain(|id, job| remembered.contains(id) || !job.status.borrow().state().is_final());
    }
}

fn result(written: Written, expires_at: i64) -> ExportResult {
    let Written { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, rows: _ } = written;
    ExportResult { bytes, rows_written, rows_suppressed, information_loss_ppm, levels, left_out, expires_at }
}

impl Actor for ExportSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(EXPIRY_CHECK, |supervisor, _| supervisor.expire());
        if let Some(reports) = self.reports.take() {
            self.listen(reports, context);
        }
        self.run_next();
    }
}
