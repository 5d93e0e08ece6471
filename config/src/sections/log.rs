//! The log.

use crate::ConfigError;
use crate::keys::Keys;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The section `[log]`.
#[derive(Debug, Clone)]
pub struct Log {
    /// The format of lines.
    pub format: LogFormat,
    /// The minimum level: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// Maximum length of a line, in bytes. Longer lines are cut.
    pub max_line_bytes: usize,
}

impl Log {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
        Ok(Self {
            format: keys.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            level: keys.choice("log.level", &levels)?,
            max_line_bytes: keys.integer("log.max_line_bytes", 1_024..=16_777_216)?,
        })
    }
}
