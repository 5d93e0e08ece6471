//! Which levels an export of everyone would need now.
//!
//! Classes are counted when somebody asks, and again and again in the background for a while after the last question, so that
//! further answers are there at once. While nobody asks, nothing is counted and nothing is kept: a server that makes no exports
//! pays nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain::export::{
    ClassTable, ExportFilter, ExportMode, ExportRequest, ExportRules, Feasibility, Lattice, PrivacyRequirement,
    RolledUpClasses, SensitiveLayout,
};
use domain::port::table::TableFormat;
use kernels::{Backend, Cpu};
use parking_lot::Mutex;
use rayon::ThreadPool;

use super::classes;
use super::coded;
use super::device::Device;
use super::job_context::{JobContext, JobEnd};
use super::refusal::FeasibilityRefusal;
use super::rows::ExportRows;
use crate::columns::ColumnStore;

/// How long counted classes are used at least.
const FRESH: Duration = Duration::from_secs(5);
/// How many times the time that it takes passes between two counts: the background takes a fiftieth of the pool at most.
const PAUSE_OF_COUNTS: u32 = 50;
/// How long after the last question classes are counted in the background.
const FOLLOWED: Duration = Duration::from_secs(600);
/// How often the background looks whether it is time to count.
const FOLLOW_CHECK: Duration = Duration::from_millis(100);
/// How many questions are answered anew with each count, the last ones.
const REMEMBERED: usize = 8;

/// Answers what an export of everyone would need. Clones share what is counted.
#[derive(Clone)]
pub(super) struct FeasibilityCounter(Arc<Counter>);

struct Counter {
    columns: Arc<ColumnStore>,
    rules: Arc<ExportRules>,
    memory_bytes: u64,
    device: Device,
    /// Threads of a lower priority than those that serve requests, and not those of jobs: a question would wait for the job that
    /// runs.
    pool: ThreadPool,
    is_stopping: Arc<AtomicBool>,
    /// [`FRESH`] and [`FOLLOWED`].
    times: (Duration, Duration),
    kept: Mutex<Kept>,
    /// Locked for as long as one counts, so that others wait for its result.
    counting: Mutex<()>,
    /// When somebody has asked last, while a thread counts in the background.
    followed: Mutex<Option<Instant>>,
}

/// What is kept between questions.
#[derive(Default)]
struct Kept {
    newest: Option<Arc<Counted>>,
    /// How many users were erased since the start. A count during which this has changed may have classes of theirs.
    erasures: u64,
}

/// The classes of everyone at one moment.
struct Counted {
    at: Instant,
    took: Duration,
    lattice: Lattice,
    layout: SensitiveLayout,
    /// `None` once somebody was erased, who may have been alone in a class. The answers, which have only levels and rounded
    /// numbers, stay.
    table: Mutex<Option<Arc<ClassTable>>>,
    /// The last questions, k and l, and their answers.
    answers: Mutex<Vec<((u32, u32), Feasibility)>>,
}

impl From<JobEnd> for FeasibilityRefusal {
    fn from(end: JobEnd) -> Self {
        match end {
            JobEnd::Cancelled => Self::Stopping,
            JobEnd::Failed(reason) => Self::NotCounted(reason),
        }
    }
}

impl FeasibilityCounter {
    pub(super) fn new(
        columns: Arc<ColumnStore>,
        rules: Arc<ExportRules>,
        memory_bytes: u64,
        pool: ThreadPool,
        is_stopping: Arc<AtomicBool>,
    ) -> Self {
        let cpu: Arc<dyn Backend> = Arc::new(Cpu::new());
        Self(Arc::new(Counter {
            columns,
            rules,
            memory_bytes,
            device: Device::new(cpu),
            pool,
            is_stopping,
            times: (FRESH, FOLLOWED),
            kept: Mutex::default(),
            counting: Mutex::default(),
            followed: Mutex::default(),
        }))
    }

    /// Returns what an export with all columns would need. Blocks while it counts, if nobody has asked for some minutes.
    ///
    /// # Errors
    /// The columns are not filled yet, or the classes cannot be counted.
    pub(super) fn feasibility(&self, k: u32, l: u32) -> Result<Feasibility, FeasibilityRefusal> {
        if !self.0.columns.is_ready() {
            return Err(FeasibilityRefusal::NotReady);
        }
        let answer = self.0.answer((Feasibility::rounded_k(k), l))?;
        self.follow();
        Ok(answer)
    }

    /// Forgets classes in which a user may be who was erased.
    pub(super) fn forget(&self) {
        let mut kept = self.0.kept.lock();
        kept.erasures += 1;
        if let Some(counted) = &kept.newest {
            *counted.table.lock() = None;
        }
    }

    /// Returns the counter with other times in place of [`FRESH`] and [`FOLLOWED`].
    #[cfg(test)]
    pub(super) fn with_times(self, times: (Duration, Duration)) -> Self {
        let counter = Arc::into_inner(self.0).expect("it was not used yet");
        Self(Arc::new(Counter { times, ..counter }))
    }

    /// Returns when the classes that are kept were counted, and how many questions they have answered.
    #[cfg(test)]
    pub(super) fn counted(&self) -> Option<(Instant, usize)> {
        self.0.kept.lock().newest.as_ref().map(|counted| (counted.at, counted.answers.lock().len()))
    }

    /// Notes a question, and starts the thread that counts in the background unless it runs.
    fn follow(&self) {
        let mut followed = self.0.followed.lock();
        if followed.replace(Instant::now()).is_some() {
            return;
        }
        let counter = Arc::clone(&self.0);
        if let Err(error) = thread::Builder::new().name("feasibility".to_owned()).spawn(move || counter.follow()) {
            tracing::warn!("classes are counted only when somebody asks, since no thread could be started: {error}");
            *followed = None;
        }
    }
}

impl Counter {
    /// Answers a question, k and l; counts if there are no classes, or too old ones.
    fn answer(&self, question: (u32, u32)) -> Result<Feasibility, JobEnd> {
        if let Some(answer) = self.answer_from_kept(question) {
            return Ok(answer);
        }
        let _counting = self.counting.lock();
        if let Some(answer) = self.answer_from_kept(question) {
            return Ok(answer);
        }
        let answers = self.count_anew(vec![question])?;
        answers.into_iter().next().ok_or(JobEnd::Cancelled)
    }

    fn answer_from_kept(&self, question: (u32, u32)) -> Option<Feasibility> {
        let counted = self.kept.lock().newest.clone()?;
        // So old that the background is late, or does not run.
        if counted.at.elapsed() > 2 * self.period(&counted) {
            return None;
        }
        let known = counted.known(question);
        // Not locked while it searches: other questions may have their answers already.
        let answer = known.or_else(|| {
            let table = counted.table.lock().clone()?;
            Some(self.search(&counted, &table, question))
        })?;
        counted.remember(question, answer.clone());
        Some(answer)
    }

    /// Counts again and again, until nobody has asked for a while or the server stops.
    fn follow(&self) {
        loop {
            thread::sleep(FOLLOW_CHECK);
            let mut followed = self.followed.lock();
            let is_over = followed.is_none_or(|asked| asked.elapsed() > self.times.1);
            if is_over || self.is_stopping.load(Ordering::Relaxed) {
                *followed = None;
                self.kept.lock().newest = None;
                return;
            }
            drop(followed);
            let newest = self.kept.lock().newest.clone();
            if let Some(old) = newest.filter(|counted| counted.at.elapsed() > self.period(counted)) {
                let questions = old.answers.lock().iter().map(|(question, _)| *question).collect();
                let _counting = self.counting.lock();
                if self.count_anew(questions).is_err() {
                    // The next question says why.
                    self.kept.lock().newest = None;
                }
            }
        }
    }

    /// Counts, answers questions and keeps the classes in place of those before. Returns the answers.
    fn count_anew(&self, questions: Vec<(u32, u32)>) -> Result<Vec<Feasibility>, JobEnd> {
        let erasures = self.kept.lock().erasures;
        let (mut counted, table) = self.pool.install(|| self.count())?;
        let answers: Vec<_> = questions.iter().map(|question| self.search(&counted, &table, *question)).collect();
        counted.answers = Mutex::new(questions.into_iter().zip(answers.iter().cloned()).collect());
        counted.took = counted.at.elapsed();
        let mut kept = self.kept.lock();
        counted.table = Mutex::new(Some(Arc::new(table)).filter(|_| kept.erasures == erasures));
        kept.newest = Some(Arc::new(counted));
        Ok(answers)
    }

    /// Returns how long counted classes are used.
    fn period(&self, counted: &Counted) -> Duration {
        self.times.0.max(counted.took * PAUSE_OF_COUNTS)
    }

    fn search(&self, counted: &Counted, table: &ClassTable, (k, l): (u32, u32)) -> Feasibility {
        let Counted { lattice, layout, .. } = counted;
        let requirement = PrivacyRequirement { k, l, max_suppression_pct: self.rules.privacy.max_suppression_pct };
        let source = RolledUpClasses::new(lattice, layout, table.clone()).rolled_up_by(classes::roll_up);
        self.pool.install(|| Feasibility::of(lattice, source, requirement))
    }

    fn count(&self) -> Result<(Counted, ClassTable), JobEnd> {
        let at = Instant::now();
        let request = ExportRequest {
            format: TableFormat::Parquet,
            mode: ExportMode::Records,
            filter: ExportFilter::default(),
            columns: self.rules.columns,
            k: self.rules.privacy.k,
            l: self.rules.privacy.l,
            micro_epsilon: None,
        };
        let job = JobContext::new([&self.is_stopping; 2], self.memory_bytes, &|_| {});
        let rows = ExportRows::collect(&self.columns, &[&request.filter], &job)?;
        let selected = rows.select(&request.filter);
        let (lattice, quasi) = coded::quasi_identifiers(&request, &self.rules, &rows, &selected)?;
        let sensitive = coded::sensitive_columns(&request, &self.rules, &rows);
        let sensitive: Vec<_> = sensitive.iter().map(|(_, column)| column).collect();
        let mut counted = classes::count(&lattice, &quasi, &sensitive, &selected, &self.device, &job)?;
        counted.table.sort();
        let (layout, table) = (counted.layout, counted.table);
        let (took, answers, kept) = (at.elapsed(), Mutex::default(), Mutex::default());
        Ok((Counted { at, took, lattice, layout, table: kept, answers }, table))
    }
}

impl Counted {
    /// Returns the answer to a question that was answered before.
    fn known(&self, question: (u32, u32)) -> Option<Feasibility> {
        let answers = self.answers.lock();
        answers.iter().find(|(known, _)| *known == question).map(|(_, answer)| answer.clone())
    }

    /// Remembers an answer as the newest, and forgets the oldest if there are too many.
    fn remember(&self, question: (u32, u32), answer: Feasibility) {
        let mut answers = self.answers.lock();
        answers.retain(|(known, _)| *known != question);
        if answers.len() == REMEMBERED {
            answers.remove(0);
        }
        answers.push((question, answer));
    }
}
