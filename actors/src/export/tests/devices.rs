//! Devices that fail in the middle of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::export::{ExportBackend, ExportRequest};
use kernels::{
    Aggregates, Backend, BackendKind, Cpu, Generalisation, GroupColumn, KernelError, MeasureColumn, Pseudonym,
    PseudonymKey, RowClasses, SensitiveColumn, Texts,
};

use super::super::device::Device;
use super::fixture::{Ran, columns, request, run, run_on, table};
use super::memory::MemoryTables;
use crate::columns::ColumnStore;

/// Rows of a batch: the people of the tests are in three.
const BATCH_ROWS: usize = 400;

/// A device that fails or panics at one of its calls.
#[derive(Debug)]
pub(super) struct Flaky {
    calls: AtomicUsize,
    fails_at: usize,
    panics: bool,
}

impl Flaky {
    /// Returns a device that fails at a call, with an error.
    pub(super) fn failing_at(fails_at: usize) -> Self {
        Self { calls: AtomicUsize::new(0), fails_at, panics: false }
    }

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

/// Runs a job in batches on a device that fails at a call. Returns how often the device was called.
fn run_flaky(columns: &ColumnStore, tables: &MemoryTables, request: &ExportRequest, flaky: Flaky) -> (Ran, usize) {
    let flaky = Arc::new(flaky);
    let device = Device::new(flaky.clone()).with_batch_rows(BATCH_ROWS);
    let ran = run_on(&device, &AtomicBool::new(false), (columns, tables), request, &[], 7);
    (ran, flaky.calls.load(Ordering::Relaxed))
}

/// Checks that a failure at any call of the device changes nothing of the file. `calls` is the least number of calls that
/// there are.
fn check_every_call(text: &str, least_calls: usize) {
    let (columns, request, tables) = (columns(), request(text), MemoryTables::default());
    let expected = run(&columns, &tables, &request, &[], 7).written();
    let file = table(&tables);
    let (ran, calls) = run_flaky(&columns, &tables, &request, Flaky::failing_at(usize::MAX));
    assert_eq!((ran.backend, ran.written().rows_written), (ExportBackend::Cuda, expected.rows_written));
    assert!(calls >= least_calls, "{calls} calls");
    for panics in [false, true] {
        for fails_at in 0..calls {
            let flaky = Flaky { panics, ..Flaky::failing_at(fails_at) };
            let (ran, made) = run_flaky(&columns, &tables, &request, flaky);
            assert_eq!(ran.backend, ExportBackend::Cpu, "call {fails_at}, panics: {panics}");
            // Another batch may have been under way.
            assert!((fails_at + 1..=fails_at + 2).contains(&made), "{made} calls");
            let written = ran.written();
            let figures = (written.rows_written, written.rows_suppressed, written.information_loss_ppm);
            assert_eq!(figures, (expected.rows_written, expected.rows_suppressed, expected.information_loss_ppm));
            let other = table(&tables);
            assert_eq!(other.schema, file.schema);
            assert!(other.batches == file.batches, "call {fails_at}, panics: {panics}");
        }
    }
}

#[test]
fn a_device_that_fails_or_panics_at_any_batch_changes_no_byte_of_records() {
    // Three batches of classes and at least two of pseudonyms.
    check_every_call(r#"{"k": 10, "columns": ["gender", "state", "overall_risk", "cohort_tags"]}"#, 5);
}

#[test]
fn a_device_that_fails_or_panics_at_any_batch_changes_no_byte_of_aggregates() {
    check_every_call(
        r#"{"mode": "aggregate", "epsilon": 2, "columns": ["region", "gender", "total_active", "overall_risk"]}"#,
        3,
    );
}
