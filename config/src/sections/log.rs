//! How the server speaks of itself.

use crate::Error;
use crate::keys::Keys;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// Maximum number of bytes of a line; what is longer is cut.
    pub max_line_bytes: usize,
}

impl Log {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
        Ok(Self {
            format: keys.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            level: keys.choice("log.level", &levels)?,
            max_line_bytes: keys.integer("log.max_line_bytes", 1_024..=16_777_216)?,
        })
    }
}
