//! Settings, the access table, the completeness rules and secrets: everything that an operator may
//! change, read once at the start, and the only crate that looks at the environment.
//!
//! ```
//! // In `main`: Sources::from_process(), plus the flags that were given.
//! let sources = config::Sources::default().with("listen", "127.0.0.1:0", "--listen");
//! let settings = config::Settings::load(&sources)?;
//! assert_eq!(settings.mode, config::Mode::Development);
//! assert_eq!(settings.http.max_event_bytes, 1 << 20);
//! print!("{}", settings.print());
//! # Ok::<(), config::Error>(())
//! ```
//!
//! Layers, a later one wins: embedded `default.toml` (the manual), `--config FILE`, `config.local.toml` in
//! the data directory, the environment (`PROFILE_SERVER__SECTION__KEY`), flags. [`Settings`] is plain data;
//! each crate has its own `Options`, and the front door maps one onto the other.

mod contradictions;
mod error;
mod hide;
mod keys;
mod origin;
mod readers;
mod sections;
mod settings;
mod sources;

pub use error::Error;
pub use origin::Origin;
pub use sections::{
    Actors, Auth, Cache, Checkpoint, Commit, DeadLetters, Http, Journal, Live, Log, LogFormat, ProfileLimits, Time,
};
pub use settings::{Mode, Settings};
pub use sources::{DEFAULT_TOML, Override, Sources, process_environment};

#[cfg(test)]
mod tests;
