//! The options of the audit log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;

use crate::disk::{Disk, RealDisk};

/// How the audit log is kept.
#[derive(Clone)]
pub struct AuditOptions {
    /// The data directory. The log is in `audit/` below it.
    pub data_dir: PathBuf,
    /// The file that signed tree heads are appended to, so that a truncation is found. Meant for another disk or for a
    /// mount that can only be appended to. `None`: `audit-anchors.log` in the data directory.
    pub anchor_file: Option<PathBuf>,
    /// Maximum time between a change and the tree head that has it.
    pub head_interval: Duration,
    /// Days to keep compliance entries. A segment is removed as a whole, when its last day is that long ago.
    pub compliance_days: u32,
    /// Days to keep security entries.
    pub security_days: u32,
    /// Days to keep entries about operations.
    pub operations_days: u32,
    /// Maximum number of entries that wait to be written.
    pub queue_entries: usize,
    /// Maximum time that an operation waits for its entry to become durable.
    pub write_timeout: Duration,
    /// Lines after which a part of the index of the open segment is written.
    pub run_lines: u64,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// After a jump of the wall clock forward, nothing is removed until the new time has held this long.
    pub confirm_clock: Duration,
    /// The disk.
    pub disk: Arc<dyn Disk>,
}

impl AuditOptions {
    /// Returns the default options of the log in a data directory.
    pub fn new(data_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            data_dir: data_dir.into(),
            anchor_file: None,
            head_interval: Duration::from_secs(60),
            compliance_days: 2_557,
            security_days: 90,
            operations_days: 90,
            queue_entries: 32_768,
            write_timeout: Duration::from_secs(10),
            run_lines: 65_536,
            clock,
            confirm_clock: Duration::from_secs(3600),
            disk: Arc::new(RealDisk),
        }
    }

    /// Returns the path of the anchor file.
    pub(super) fn anchor_path(&self) -> PathBuf {
        self.anchor_file.clone().unwrap_or_else(|| self.data_dir.join(ANCHOR_FILE))
    }
}

/// The name of the anchor file in the data directory, if no other is configured.
pub(super) const ANCHOR_FILE: &str = "audit-anchors.log";
