//! Bulk exports. What they may hold is in `export.toml`.

use std::time::Duration;

use super::TIB;
use crate::ConfigError;
use crate::keys::Keys;

/// What computes exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportBackendChoice {
    /// A GPU if there is one that works, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, or the server does not start.
    Cuda,
}

/// The section `[export]`.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    /// What computes.
    pub backend: ExportBackendChoice,
    /// Threads that compute and write.
    pub threads: usize,
    /// Maximum number of bytes that a job takes in memory.
    pub memory_bytes: u64,
    /// Maximum number of jobs that wait.
    pub max_queued: usize,
    /// How long a file is kept.
    pub keep: Duration,
}

impl ExportSettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        use ExportBackendChoice::{Auto, Cpu, Cuda};
        Ok(Self {
            backend: keys.choice("export.backend", &[("auto", Auto), ("cpu", Cpu), ("cuda", Cuda)])?,
            threads: keys.integer("export.threads", 1..=256)?,
            memory_bytes: keys.integer("export.memory_bytes", 1_048_576..=TIB)?,
            max_queued: keys.integer("export.max_queued", 1..=1_000)?,
            keep: keys.seconds("export.keep_s", 60..=604_800)?,
        })
    }
}
