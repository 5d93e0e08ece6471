//! The choice of a back end.

use crate::{Backend, Cpu, Cuda, CudaError, CudaOptions};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which back end the operator wants: the setting `export.backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendChoice {
    /// A GPU if there is one that works, else the CPU.
    #[default]
    Auto,
    /// The CPU, even where there is a GPU.
    Cpu,
    /// A GPU, or an error.
    Cuda,
}

impl FromStr for BackendChoice {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(UnknownBackend { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// A choice that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the back end is `auto`, `cpu` or `cuda`, not `{given}`")]
pub struct UnknownBackend {
    /// What was given.
    pub given: String,
}

/// A back end, and why it is this one.
#[derive(Debug, Clone)]
pub struct ChosenBackend {
    /// The back end.
    pub backend: Arc<dyn Backend>,
    /// One line for the log and the status of a job.
    pub reason: String,
}

/// Opens the back end of this choice.
///
/// # Errors
/// When the choice is [`BackendChoice::Cuda`] and no GPU can be used.
pub fn choose(choice: BackendChoice, options: CudaOptions) -> Result<ChosenBackend, CudaError> {
    let chosen = |backend: Arc<dyn Backend>, why: &str| {
        let reason = format!("{} ({why})", backend.description());
        ChosenBackend { backend, reason }
    };
    match choice {
        BackendChoice::Cpu => Ok(chosen(Arc::new(Cpu::new()), "the setting is `cpu`")),
        BackendChoice::Cuda => Ok(chosen(Arc::new(Cuda::open(options)?), "the setting is `cuda`")),
        BackendChoice::Auto => Ok(match Cuda::open(options) {
            Ok(cuda) => chosen(Arc::new(cuda), "the setting is `auto`"),
            Err(error) => chosen(Arc::new(Cpu::new()), &format!("the setting is `auto`, and {error}")),
        }),
    }
}
