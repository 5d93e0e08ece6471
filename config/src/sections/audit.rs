//! The audit log.

use std::path::PathBuf;
use std::time::Duration;

use super::HOUR_S;
use crate::ConfigError;
use crate::keys::Keys;

/// The section `[audit]`.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Days to keep compliance entries.
    pub compliance_days: u32,
    /// Days to keep security entries.
    pub security_days: u32,
    /// Days to keep entries about operations.
    pub operations_days: u32,
    /// The file that signed tree heads are appended to; `None` for the one in the data directory.
    pub anchor_file: Option<PathBuf>,
    /// Maximum time between a change and the tree head that has it.
    pub head_interval: Duration,
    /// Maximum number of entries that wait to be written.
    pub queue_entries: usize,
    /// Maximum time that an operation waits for its entry to become durable.
    pub write_timeout: Duration,
}

impl AuditSettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let anchor_file = keys.text("audit.anchor_file")?;
        Ok(Self {
            compliance_days: keys.integer("audit.compliance_days", 1..=36_525)?,
            security_days: keys.integer("audit.security_days", 1..=36_525)?,
            operations_days: keys.integer("audit.operations_days", 1..=36_525)?,
            anchor_file: (!anchor_file.is_empty()).then(|| PathBuf::from(anchor_file)),
            head_interval: keys.seconds("audit.head_interval_s", 1..=HOUR_S)?,
            queue_entries: keys.integer("audit.queue_entries", 64..=16_777_216)?,
            write_timeout: keys.seconds("audit.write_timeout_s", 1..=HOUR_S)?,
        })
    }
}
