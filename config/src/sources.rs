//! The layers of settings, and merging them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::keys::Keys;
use crate::{ConfigError, Origin};

/// The embedded first layer, which is also the manual.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");
const LOCAL_FILE: &str = "config.local.toml";
const ENVIRONMENT_PREFIX: &str = "PROFILE_SERVER__";

/// A setting from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The dotted name, such as `time.fixed_clock`.
    pub key: String,
    /// The value as text, which is parsed as the type of the setting.
    pub value: String,
    /// The option, such as `--fixed-clock`, which errors and `config print` name.
    pub flag: String,
}

/// The sources of settings besides the embedded defaults. The default has none, for tests.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file of `--config`, which must exist.
    pub file: Option<PathBuf>,
    /// The environment variables. Those without the prefix `PROFILE_SERVER__` are ignored.
    pub environment: Vec<(String, String)>,
    /// The options of the command line, which override everything else.
    pub overrides: Vec<Override>,
}

impl Sources {
    /// Returns the sources of a start: the environment of the process, without a file or options yet.
    #[must_use]
    pub fn from_process() -> Self {
        Self { environment: process_environment(), ..Self::default() }
    }

    /// Adds an option of the command line.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString, flag: &str) -> Self {
        self.overrides.push(Override { key: key.to_owned(), value: value.to_string(), flag: flag.to_owned() });
        self
    }

    /// Merges the layers, the weakest first.
    pub(crate) fn collect(&self) -> Result<Keys, ConfigError> {
        let mut keys = Keys::from_defaults(DEFAULT_TOML, Origin::Embedded("default.toml"))?;
        if let Some(path) = &self.file {
            keys.overlay_toml(&read(path)?, Origin::File(path.clone()))?;
        }
        let local = self.data_dir(&keys)?.join(LOCAL_FILE);
        if let Some(text) = read_if_there(&local)? {
            keys.overlay_toml(&text, Origin::File(local.clone()))?;
            if keys.given("data_dir").origin == Origin::File(local) {
                return Err(
                    keys.refuse("data_dir", "not to be set in this file, since the file is in the data directory")
                );
            }
        }
        self.overlay_strongest(&mut keys)?;
        Ok(keys)
    }

    /// Returns the data directory, which is needed to find `config.local.toml`.
    fn data_dir(&self, keys: &Keys) -> Result<PathBuf, ConfigError> {
        let mut without_local = keys.clone();
        self.overlay_strongest(&mut without_local)?;
        without_local.filled_text("data_dir").map(PathBuf::from)
    }

    fn overlay_strongest(&self, keys: &mut Keys) -> Result<(), ConfigError> {
        for (name, value) in &self.environment {
            if let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let key = rest.to_lowercase().replace("__", ".");
                keys.overlay_text(&key, value, Origin::Environment(name.clone()))?;
            }
        }
        for Override { key, value, flag } in &self.overrides {
            keys.overlay_text(key, value, Origin::Flag(flag.clone()))?;
        }
        Ok(())
    }
}

/// Returns the environment variables of the process, without those that are not Unicode. Nothing else reads them.
#[must_use]
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::File { action: "read", path: path.to_owned(), source })
}

/// Returns the text of a file; `None` if there is no file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::File { action: "read", path: path.to_owned(), source }),
    }
}
