//! One struct per section of `default.toml`, each read key by key with its range.

mod door;
mod log;
mod rules;
mod state;
mod storage;

pub use door::{Auth, Events, Http, Live};
pub use log::{Log, LogFormat};
pub use rules::{ProfileLimits, Time};
pub use state::{Actors, Cache, Commit};
pub use storage::{Checkpoint, DeadLetters, Journal, Store};

/// The most entries that any count may be set to.
const MANY: i64 = 1_000_000_000;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
