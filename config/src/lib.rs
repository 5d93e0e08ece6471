//! Settings, the access table, the rate limits, the completeness rules, the rules of exports
//! and secrets: everything that an operator can change. No other
//! crate reads the environment.
//!
//! A start reads them in this order, with [`Sources::from_process`] and the options of the command line:
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
//! let secrets = Secrets::load(&settings.data_dir, settings.mode, &settings.keys, &sources.environment, &mut randomness)?;
//! let access = AccessTable::load(&settings.data_dir)?; // `AccessTable::watch` picks up changes
//! let not_applicable = load_completeness(&settings.data_dir)?;
//! let printed = settings.print() + &secrets.print(); // `config print`
//! # assert!(secrets.development_secret.is_some() && !access.rules.agent.minimal.is_empty());
//! # assert!(!not_applicable.is_empty() && printed.contains("(hidden)"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Settings have five layers, of which later ones override earlier ones: the embedded `default.toml`, which is also the
//! manual; `--config FILE`; `config.local.toml` in the data directory; the environment
//! (`PROFILE_SERVER__SECTION__KEY`); and the options of the command line. All keys must exist in the manual. Values are
//! checked when settings are read, and each error is one line with the key, the value, its origin and the allowed
//! values.
//!
//! [`Settings`] is plain data with units in its types. Each crate has options of its own, and the root crate maps the
//! settings to them.

mod access;
mod completeness;
mod contradictions;
mod dot_env;
mod error;
mod export;
mod hide;
mod key_provider;
mod keys;
mod limits;
mod load;
mod master_key;
mod origin;
mod readers;
mod secrets;
mod sections;
mod settings;
mod sources;
mod table_file;
mod watched;

pub use access::{ACCESS_TOML, AccessTable};
pub use completeness::{COMPLETENESS_TOML, load_completeness};
pub use error::ConfigError;
pub use export::{EXPORT_TOML, load_export};
pub use key_provider::KeyProvider;
pub use limits::{LIMITS_TOML, load_limits, watch_limits};
pub use master_key::MasterKeys;
pub use origin::Origin;
pub use secrets::{DEVELOPMENT_SECRET, Key, MASTER_KEY, Randomness, Secrets};
pub use sections::{
    Actors, AuditSettings, Auth, Cache, Checkpoint, Commit, DeadLetterSettings, Events, ExportBackendChoice,
    ExportSettings, HistorySettings, Http, JournalSettings, KeyProviderChoice, KeySettings, Live, Log, LogFormat,
    ProfileLimits, StoreSettings, Time,
};
pub use settings::{Mode, Settings};
pub use sources::{DEFAULT_TOML, Override, Sources, process_environment};
pub use watched::Watched;

#[cfg(test)]
mod tests;
