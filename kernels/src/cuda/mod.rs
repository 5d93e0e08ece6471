//! The kernels on a GPU. The libraries of CUDA are loaded at run time; without them, opening a device is an error.

mod aggregates;
mod driver;
mod error;
mod lane;
mod program;
mod pseudonyms;
mod row_classes;

use crate::{
    Aggregates, Backend, BackendKind, Generalisation, GroupColumn, KernelError, MeasureColumn, Pseudonym, PseudonymKey,
    RowClasses, SensitiveColumn, Texts,
};
use driver::Device;
pub use error::CudaError;
use lane::Lane;
use program::Program;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Which device to use, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CudaOptions {
    /// Number of the device, from 0.
    pub ordinal: u32,
    /// Maximum number of bytes of device memory that a call takes. A call that needs more fails; nine tenths of the free memory
    /// bound it in any case.
    pub most_bytes: Option<u64>,
    /// Maximum share of the slots of a hash table that are taken, in percent. With more, tables are smaller and slower.
    pub most_fill_percent: u32,
}

impl Default for CudaOptions {
    fn default() -> Self {
        Self { ordinal: 0, most_bytes: None, most_fill_percent: 75 }
    }
}

/// Streams that are kept for later calls. Each has 8 MiB of pinned memory.
const KEPT_LANES: usize = 2;

/// A GPU as a back end.
///
/// Each call has a stream of its own: of two threads that call, one copies while the other computes.
#[derive(Debug)]
pub struct Cuda {
    // Dropped in this order: the device last.
    lanes: Mutex<Vec<Lane>>,
    program: Program,
    name: String,
    options: CudaOptions,
    device: Arc<Device>,
}

impl Cuda {
    /// Opens a device and compiles the kernels for it.
    ///
    /// # Errors
    /// When there is no driver, no device, or a call fails.
    pub fn open(options: CudaOptions) -> Result<Self, CudaError> {
        guard(|| {
            if !driver::has_driver() {
                return Err(CudaError::NoDriver);
            }
            let device = Device::open(options.ordinal)?;
            let program = Program::load(&device)?;
            Ok(Self { lanes: Mutex::new(Vec::new()), name: device.name()?, program, options, device })
        })
    }

    /// Runs a call with a stream, if it needs no more than these bytes of device memory.
    fn with_lane<T>(
        &self,
        needed: u64,
        call: impl FnOnce(&mut Lane, &Program) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let result = guard(|| {
            self.device.bind()?;
            let available = self.device.free_bytes()? / 10 * 9;
            let available = self.options.most_bytes.map_or(available, |most| most.min(available));
            if needed > available {
                return Err(CudaError::DeviceMemory { needed, available });
            }
            let kept = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut lane = kept.map_or_else(|| Lane::new(&self.device), Ok)?;
            let result = call(&mut lane, &self.program);
            // After an error of the device the stream is dropped, which waits for what is still under way.
            if !matches!(result, Err(KernelError::Device(_))) {
                lane.wait()?;
                let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
                if lanes.len() < KEPT_LANES {
                    lanes.push(lane);
                }
            }
            Ok(result)
        });
        result?
    }
}

impl Backend for Cuda {
    fn kind(&self) -> BackendKind {
        BackendKind::Cuda
    }

    fn description(&self) -> String {
        format!("{}, kernels: {}", self.name, self.program.origin)
    }

    fn pseudonyms(&self, key: &PseudonymKey, texts: &Texts<'_>) -> Result<Vec<Pseudonym>, KernelError> {
        self.with_lane(pseudonyms::bytes(texts), |lane, program| Ok(pseudonyms::pseudonyms(lane, program, key, texts)?))
    }

    fn row_classes(
        &self,
        generalisation: &Generalisation,
        columns: &[&[u32]],
        sensitive: &[SensitiveColumn<'_>],
    ) -> Result<RowClasses, KernelError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let fill = self.options.most_fill_percent;
        let needed = row_classes::bytes(rows, columns.len(), row_classes::slots(rows, fill), sensitive);
        self.with_lane(needed, |lane, program| {
            row_classes::row_classes(lane, program, generalisation, columns, sensitive, fill)
        })
    }

    fn aggregates(&self, groups: &GroupColumn<'_>, measures: &[MeasureColumn<'_>]) -> Result<Aggregates, KernelError> {
        crate::aggregate::check(groups, measures)?;
        self.with_lane(aggregates::bytes(groups, measures), |lane, program| {
            aggregates::aggregates(lane, program, groups, measures)
        })
    }
}

/// Turns a panic, such as that of a driver that lacks a function, into an error.
fn guard<T>(call: impl FnOnce() -> Result<T, CudaError>) -> Result<T, CudaError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(CudaError::Panicked { message: text.unwrap_or("no message").to_owned() })
    })
}
