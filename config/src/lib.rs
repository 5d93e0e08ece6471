//! Settings, the access table, the completeness rules and secrets: all that an operator may change, and
//! the only crate that looks at the environment.
//!
//! A start reads them in this order (`main` gives [`Sources::from_process`] and the flags that were typed):
//!
//! ```
//! use config::{AccessTable, Mode, Secrets, Settings, Sources, load_completeness};
//!
//! # let dir = tempfile::TempDir::new()?;
//! # let (data_dir, mut randomness) = (dir.path().display(), |_: &mut [u8]| Ok(()));
//! let sources = Sources::default().with("listen", "127.0.0.1:0", "--listen").with("data_dir", data_dir, "--data-dir");
//! let settings = Settings::load(&sources)?;
//! assert_eq!((settings.mode, settings.http.max_event_bytes), (Mode::Development, 1 << 20));
//!
//! let secrets = Secrets::load(&settings.data_dir, settings.mode, &sources.environment, &mut randomness)?;
//! let access = AccessTable::load(&settings.data_dir)?; // `AccessFile` picks up changes
//! let not_applicable = load_completeness(&settings.data_dir)?;
//! let printed = settings.print() + &secrets.print(); // `config print`
//! # assert!(secrets.development_secret.is_some() && !access.rules.agent.minimal.is_empty());
//! # assert!(!not_applicable.is_empty() && printed.contains("(hidden)"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Layers of settings, a later one wins: embedded `default.toml` (the manual), `--config FILE`,
//! `config.local.toml` in the data directory, the environment (`PROFILE_SERVER__SECTION__KEY`), flags.
//! Every layer may only name keys of the manual; a value is checked when its setting is read, and every
//! error is one line that names key, value, origin and what is allowed.
//!
//! [`Settings`] is plain data with units in its types; each crate has its own `Options`, and the front
//! door maps one onto the other.

mod access;
mod completeness;
mod contradictions;
mod dot_env;
mod error;
mod hide;
mod keys;
mod origin;
mod readers;
mod secrets;
mod sections;
mod settings;
mod sources;
mod table_file;

pub use access::{ACCESS_TOML, AccessFile, AccessTable};
pub use completeness::{COMPLETENESS_TOML, load_completeness};
pub use error::Error;
pub use origin::Origin;
pub use secrets::{DEVELOPMENT_SECRET, Key, MASTER_KEY, Randomness, Secrets};
pub use sections::{
    Actors, Auth, Cache, Checkpoint, Commit, DeadLetters, Events, Http, Journal, Live, Log, LogFormat, ProfileLimits,
    Store, Time,
};
pub use settings::{Mode, Settings};
pub use sources::{DEFAULT_TOML, Override, Sources, process_environment};

#[cfg(test)]
mod tests;
