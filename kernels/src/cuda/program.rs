//! The kernels, compiled: with NVRTC where it is installed, or else from the PTX that the binary holds.

use super::driver::{Device, Function, Module, has_compiler};
use super::error::CudaError;
use super::guard;
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use std::ffi::CString;
use std::sync::Arc;

/// A source file and its PTX for compute capability 7.5, which every newer driver and device accepts.
struct Source {
    name: &'static str,
    text: &'static str,
    ptx: &'static str,
}

macro_rules! source {
    ($name:literal) => {
        Source {
            name: concat!($name, ".cu"),
            text: include_str!(concat!("../../cuda/", $name, ".cu")),
            ptx: include_str!(concat!("../../cuda/ptx/", $name, ".ptx")),
        }
    };
}

const PSEUDONYMS: Source = source!("pseudonyms");
const CLASS_SIZES: Source = source!("class_sizes");
const AGGREGATES: Source = source!("aggregates");

/// The loaded kernels.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) pseudonyms: Function,
    pub(super) pack_keys: Function,
    pub(super) claim_slots: Function,
    pub(super) count_rows: Function,
    pub(super) list_groups: Function,
    pub(super) number_rows: Function,
    pub(super) mark_values: Function,
    pub(super) aggregate: Function,
    /// How the kernels were compiled.
    pub(super) origin: String,
}

impl Program {
    /// Compiles and loads all kernels.
    pub(super) fn load(device: &Arc<Device>) -> Result<Self, CudaError> {
        match Self::compile(device) {
            Ok(program) => Ok(program),
            // The stored PTX is older than any compiler: it also loads where the driver is too old for the compiler's.
            Err(reason) => Self::from_ptx(
                device,
                [&PSEUDONYMS, &CLASS_SIZES, &AGGREGATES].map(|source| source.ptx.to_owned()),
                format!("stored PTX, because {reason}"),
            ),
        }
    }

    fn compile(device: &Arc<Device>) -> Result<Self, String> {
        if !has_compiler() {
            return Err("NVRTC is not installed".to_owned());
        }
        let capability = device.capability().map_err(|error| error.to_string())?;
        let [pseudonyms, class_sizes, aggregates] =
            [&PSEUDONYMS, &CLASS_SIZES, &AGGREGATES].map(|source| compile(source, capability));
        let origin = format!("compiled by NVRTC for compute capability {}.{}", capability / 10, capability % 10);
        Self::from_ptx(device, [pseudonyms?, class_sizes?, aggregates?], origin).map_err(|error| error.to_string())
    }

    fn from_ptx(device: &Arc<Device>, ptx: [String; 3], origin: String) -> Result<Self, CudaError> {
        let [pseudonyms, class_sizes, aggregates] = ptx;
        let load = |ptx: String| {
            let ptx = CString::new(ptx).map_err(|_| CudaError::WrongResult { what: "PTX with a zero byte" })?;
            Module::load(device, &ptx)
        };
        let pseudonyms = load(pseudonyms)?;
        let class_sizes = load(class_sizes)?;
        let aggregates = load(aggregates)?;
        Ok(Self {
            pseudonyms: pseudonyms.function(c"pseudonyms")?,
            pack_keys: class_sizes.function(c"pack_keys")?,
            claim_slots: class_sizes.function(c"claim_slots")?,
            count_rows: class_sizes.function(c"count_rows")?,
            list_groups: class_sizes.function(c"list_groups")?,
            number_rows: class_sizes.function(c"number_rows")?,
            mark_values: class_sizes.function(c"mark_values")?,
            aggregate: aggregates.function(c"aggregate")?,
            origin,
        })
    }
}

fn compile(source: &Source, capability: u32) -> Result<String, String> {
    let options = CompileOptions {
        name: Some(source.name.to_owned()),
        options: vec![format!("--gpu-architecture=compute_{capability}"), "--std=c++17".to_owned()],
        ..CompileOptions::default()
    };
    let compiled = guard(|| Ok(compile_ptx_with_opts(source.text, options).map(|ptx| ptx.to_src())));
    match compiled {
        Ok(Ok(ptx)) => Ok(ptx),
        Ok(Err(error)) => Err(format!("NVRTC refused `{}`: {error}", source.name)),
        Err(error) => Err(error.to_string()),
    }
}
