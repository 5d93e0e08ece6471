//! The sections of `default.toml`: one struct each, which is read key by key, each with its range.

mod audit;
mod exports;
mod http;
mod key_tree;
mod log;
mod rules;
mod state;
mod storage;
mod url;

pub use audit::AuditSettings;
pub use exports::{ExportBackendChoice, ExportSettings};
pub use http::{Auth, Events, Http, Live};
pub use key_tree::{KeyProviderChoice, KeySettings};
pub use log::{Log, LogFormat};
pub use rules::{ProfileLimits, Time};
pub use state::{Actors, Cache, Commit};
pub use storage::{Checkpoint, DeadLetterSettings, HistorySettings, JournalSettings, StoreSettings};

/// Maximum value of settings that are counts.
const MANY: i64 = 1_000_000_000;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
