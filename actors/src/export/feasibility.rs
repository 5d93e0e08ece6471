//! Which levels an export of everyone would need now.
//!
//! Classes are counted when somebody asks, and again and again in the background for a while after the last question, so that
//! further answers are there at once. While nobody asks, nothing is counted and nothing is kept: a server that makes no exports
//! pays nothing.

use std::collections::BTreeMap;
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
use parking_lot::{Mutex, MutexGuard};
use rayon::ThreadPool;

use super::classes;
use super::coded;
use super::device::Device;
use super::job_context::{JobContext, JobEnd};
use super::refusal::FeasibilityRefusal;
use super::rows::ExportRows;
use crate::columns::ColumnStore;

/// When classes are counted again, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long counted classes are used at least.
    pub(super) fresh: Duration,
    /// How long they are used at most. With more than about a million people the background takes more than its share for it.
    pub(super) longest: Duration,
    /// How long after the last question classes are counted in the background.
    pub(super) followed: Duration,
}

const TIMES: Times =
    Times { fresh: Duration::from_secs(5), longest: Duration::from_secs(120), followed: Duration::from_secs(600) };
/// How many times the time that it takes passes between two counts: the background takes a fiftieth of the pool.
const PAUSE_OF_COUNTS: u32 = 50;
/// How often the background looks whether it is time to count.
const CHECK: Duration = Duration::from_millis(100);
/// How many questions are answered anew with each count in the background, the last ones.
const REMEMBERED: usize = 8;

/// The k, as [`Feasibility::rounded_k`] has it, and the l.
type Question = (u32, u32);

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
    times: Times,
    kept: Mutex<Kept>,
    /// Locked for as long as one counts, so that others wait for its result.
    counting: Mutex<()>,
    /// Locked for as long as one searches: a search takes as much memory as the classes.
    searching: Mutex<()>,
    /// When somebody has asked last, while a thread counts in the background.
    followed: Mutex<Option<Instant>>,
}

/// What is kept between questions.
#[derive(Default)]
struct Kept {
    newest: Option<Arc<Counted>>,
    /// The last questions, the newest last.
    questions: Vec<Question>,
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
    /// The answers to the last questions.
    answers: Mutex<BTreeMap<Question, Feasibility>>,
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
            times: TIMES,
            kept: Mutex::default(),
            counting: Mutex::default(),
            searching: Mutex::default(),
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
        self.note_question();
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

    /// Returns the counter with other times.
    #[cfg(test)]
    pub(super) fn with_times(self, times: Times) -> Self {
        let counter = Arc::into_inner(self.0).expect("it was not used yet");
        Self(Arc::new(Counter { times, ..counter }))
    }

    /// Returns when the classes that are kept were counted, and how many questions they have answered.
    #[cfg(test)]
    pub(super) fn counted(&self) -> Option<(Instant, usize)> {
        self.0.kept.lock().newest.as_ref().map(|counted| (counted.at, counted.answers.lock().len()))
    }

    /// Returns whether classes are being counted. Erasures from now on count.
    #[cfg(test)]
    pub(super) fn is_counting(&self) -> bool {
        self.0.counting.is_locked()
    }

    /// Notes when somebody has asked, and starts the thread that counts in the background unless it runs.
    fn note_question(&self) {
        let mut followed = self.0.followed.lock();
        if followed.replace(Instant::now()).is_some() {
            return;
        }
        let background = Background(Arc::clone(&self.0));
        drop(followed);
        // If it cannot be started, it is dropped, which forgets what is kept.
        if let Err(error) = thread::Builder::new().name("feasibility".to_owned()).spawn(move || background.run()) {
            tracing::warn!("classes are counted only when somebody asks, since no thread could be started: {error}");
        }
    }
}

/// Counts in the background. Nothing is kept once it ends.
struct Background(Arc<Counter>);

impl Background {
    /// Counts again and again, until nobody has asked for a while or the server stops.
    fn run(self) {
        let counter = &self.0;
        loop {
            thread::sleep(CHECK);
            let asked = *counter.followed.lock();
            let is_over = asked.is_none_or(|asked| asked.elapsed() > counter.times.followed);
            if is_over || counter.is_stopping.load(Ordering::Relaxed) {
                return;
            }
            // The next question says why it failed.
            if counter.count_if_due().is_err() {
                counter.kept.lock().newest = None;
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Locked in this order nowhere else.
        *self.0.followed.lock() = None;
        self.0.kept.lock().newest = None;
    }
}

impl Counter {
    /// Answers a question; counts if there are no classes, or too old ones.
    fn answer(&self, question: Question) -> Result<Feasibility, JobEnd> {
        self.remember(question);
        if let Some(answer) = self.answer_from_kept(question) {
            return Ok(answer);
        }
        let erasures = self.kept.lock().erasures;
        let _counting = self.counting.lock();
        if let Some(answer) = self.answer_from_kept(question) {
            return Ok(answer);
        }
        let answers = self.count_anew(&[question], erasures)?;
        answers.into_values().next().ok_or(JobEnd::Cancelled)
    }

    /// Notes a question as the newest one.
    fn remember(&self, question: Question) {
        let questions = &mut self.kept.lock().questions;
        questions.retain(|earlier| *earlier != question);
        if questions.len() == REMEMBERED {
            questions.remove(0);
        }
        questions.push(question);
    }

    fn answer_from_kept(&self, question: Question) -> Option<Feasibility> {
        let counted = self.kept.lock().newest.clone()?;
        // So old that the background is late, or does not run.
        if counted.at.elapsed() > 2 * self.period(&counted) {
            return None;
        }
        let known = || counted.answers.lock().get(&question).cloned();
        if let Some(answer) = known() {
            return Some(answer);
        }
        let searching = self.searching.lock();
        if let Some(answer) = known() {
            return Some(answer);
        }
        let table = counted.table.lock().clone()?;
        let answer = self.search(&searching, &counted, &table, question);
        let questions = self.kept.lock().questions.clone();
        let mut answers = counted.answers.lock();
        answers.retain(|answered, _| questions.contains(answered));
        answers.insert(question, answer.clone());
        Some(answer)
    }

    /// Counts if the classes are old, and answers the last questions.
    fn count_if_due(&self) -> Result<(), JobEnd> {
        let is_due = || {
            let newest = self.kept.lock().newest.clone();
            newest.is_some_and(|counted| counted.at.elapsed() > self.period(&counted))
        };
        if is_due() {
            let erasures = self.kept.lock().erasures;
            let _counting = self.counting.lock();
            if is_due() {
                let questions = self.kept.lock().questions.clone();
                self.count_anew(&questions, erasures)?;
            }
        }
        Ok(())
    }

    /// Counts, answers questions and keeps the classes in place of those before. Returns the answers. `erasures` is how many there
    /// were before.
    fn count_anew(&self, questions: &[Question], erasures: u64) -> Result<BTreeMap<Question, Feasibility>, JobEnd> {
        let (mut counted, table) = self.pool.install(|| self.count())?;
        let answer = |question: &Question| self.search(&self.searching.lock(), &counted, &table, *question);
        let answers: BTreeMap<_, _> = questions.iter().map(|question| (*question, answer(question))).collect();
        counted.answers = Mutex::new(answers.clone());
        counted.took = counted.at.elapsed();
        let mut kept = self.kept.lock();
        counted.table = Mutex::new(Some(Arc::new(table)).filter(|_| kept.erasures == erasures));
        kept.newest = Some(Arc::new(counted));
        Ok(answers)
    }

    /// Returns how long counted classes are used.
    fn period(&self, counted: &Counted) -> Duration {
        (counted.took * PAUSE_OF_COUNTS).clamp(self.times.fresh, self.times.longest)
    }

    fn search(
        &self,
        _one_at_a_time: &MutexGuard<'_, ()>,
        counted: &Counted,
        table: &ClassTable,
        (k, l): Question,
    ) -> Feasibility {
        let Counted { lattice, layout, .. } = counted;
        let requirement = PrivacyRequirement { k, l, max_suppression_pct: self.rules.privacy.max_suppression_pct };
        self.pool.install(|| {
            let source = RolledUpClasses::new(lattice, layout, table.clone()).rolled_up_by(classes::roll_up);
            Feasibility::of(lattice, source, requirement)
        })
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
        let counted =
            Counted { at, took: at.elapsed(), lattice, layout, table: Mutex::default(), answers: Mutex::default() };
        Ok((counted, table))
    }
}
