//! Which levels an export of everyone would need now.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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
use super::rows::ExportRows;
use crate::columns::ColumnStore;

/// How long counted classes are used: a second question costs a search and no count.
const FRESH: Duration = Duration::from_secs(5);

/// Counts the classes of everyone who takes part when it is asked. Counters that follow each commit would take about as much
/// memory as the columns themselves, since most people are alone in their class at the finest levels.
pub(super) struct FeasibilityCounter {
    columns: Arc<ColumnStore>,
    rules: Arc<ExportRules>,
    memory_bytes: u64,
    device: Device,
    /// Threads of a lower priority than those that serve requests, and not those of jobs: a question would wait for the job that
    /// runs.
    pool: ThreadPool,
    /// Locked for as long as one counts, so that others wait for its result.
    counted: Mutex<Option<Counted>>,
}

struct Counted {
    at: Instant,
    lattice: Lattice,
    layout: SensitiveLayout,
    table: ClassTable,
}

impl FeasibilityCounter {
    pub(super) fn new(columns: Arc<ColumnStore>, rules: Arc<ExportRules>, memory_bytes: u64, pool: ThreadPool) -> Self {
        let cpu: Arc<dyn Backend> = Arc::new(Cpu::new());
        Self { columns, rules, memory_bytes, device: Device::new(cpu), pool, counted: Mutex::new(None) }
    }

    /// Returns what an export with all columns would need. Blocks while it counts. `None` if the columns are not filled yet.
    pub(super) fn feasibility(&self, k: u32, l: u32) -> Option<Feasibility> {
        if !self.columns.is_ready() {
            return None;
        }
        let mut counted = self.counted.lock();
        if counted.as_ref().is_none_or(|counted| counted.at.elapsed() > FRESH) {
            *counted = Some(self.pool.install(|| self.count()).ok()?);
        }
        let Counted { lattice, layout, table, .. } = counted.as_ref()?;
        let requirement = PrivacyRequirement { k, l, max_suppression_pct: self.rules.privacy.max_suppression_pct };
        let source = RolledUpClasses::new(lattice, layout, table.clone()).rolled_up_by(classes::roll_up);
        Some(self.pool.install(|| Feasibility::of(lattice, source, requirement)))
    }

    fn count(&self) -> Result<Counted, JobEnd> {
        let request = ExportRequest {
            format: TableFormat::Parquet,
            mode: ExportMode::Records,
            filter: ExportFilter::default(),
            columns: self.rules.columns,
            k: self.rules.privacy.k,
            l: self.rules.privacy.l,
            micro_epsilon: None,
        };
        let never = AtomicBool::new(false);
        let job = JobContext::new([&never, &never], self.memory_bytes, &|_| {});
        let rows = ExportRows::collect(&self.columns, &[&request.filter], &job)?;
        let selected = rows.select(&request.filter);
        let (lattice, quasi) = coded::quasi_identifiers(&request, &self.rules, &rows, &selected)?;
        let sensitive = coded::sensitive_columns(&request, &self.rules, &rows);
        let sensitive: Vec<_> = sensitive.iter().map(|(_, column)| column).collect();
        let counted = classes::count(&lattice, &quasi, &sensitive, &selected, &self.device, &job)?;
        Ok(Counted { at: Instant::now(), lattice, layout: counted.layout, table: counted.table })
    }
}
