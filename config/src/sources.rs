//! The layers that settings come from, and laying them over each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::keys::Keys;
use crate::{Error, Origin};

/// The embedded first layer, which is also the manual.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");
const LOCAL_FILE: &str = "config.local.toml";
const ENVIRONMENT_PREFIX: &str = "PROFILE_SERVER__";

/// One setting from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Dotted name, e.g. `time.fixed_clock`.
    pub key: String,
    /// The value as text; it is read as the type that the setting has.
    pub value: String,
    /// The flag as the user typed it, e.g. `--fixed-clock`; named in errors and by `config print`.
    pub flag: String,
}

/// Everything that may hold settings beside the embedded defaults. The default has nothing in it, which
/// suits tests.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config FILE`. Must exist when given.
    pub file: Option<PathBuf>,
    /// Variables of the environment; those without the prefix `PROFILE_SERVER__` are ignored.
    pub environment: Vec<(String, String)>,
    /// Flags, strongest of all.
    pub overrides: Vec<Override>,
}

impl Sources {
    /// The sources of a real start: this process's environment, no file and no flags yet.
    #[must_use]
    pub fn from_process() -> Self {
        Self { environment: process_environment(), ..Self::default() }
    }

    /// Adds a flag.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString, flag: &str) -> Self {
        self.overrides.push(Override { key: key.to_owned(), value: value.to_string(), flag: flag.to_owned() });
        self
    }

    /// Lays the layers over each other, weakest first.
    pub(crate) fn collect(&self) -> Result<Keys, Error> {
        let mut keys = Keys::from_defaults(DEFAULT_TOML, Origin::Embedded("default.toml"))?;
        if let Some(path) = &self.file {
            keys.overlay_toml(&read(path)?, Origin::File(path.clone()))?;
        }
        let local = self.data_dir(&keys)?.join(LOCAL_FILE);
        if let Some(text) = read_if_there(&local)? {
            keys.overlay_toml(&text, Origin::File(local.clone()))?;
            if keys.given("data_dir").origin == Origin::File(local) {
                return Err(keys.refuse("data_dir", "not to stand in this file, since it lies in the data directory"));
            }
        }
        self.overlay_strongest(&mut keys)?;
        Ok(keys)
    }

    /// The data directory decides where `config.local.toml` lies, so it is looked up before that is read.
    fn data_dir(&self, keys: &Keys) -> Result<PathBuf, Error> {
        let mut without_local = keys.clone();
        self.overlay_strongest(&mut without_local)?;
        without_local.filled_text("data_dir").map(PathBuf::from)
    }

    fn overlay_strongest(&self, keys: &mut Keys) -> Result<(), Error> {
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

/// This process's variables, those that are not Unicode left out. The only place that reads them.
#[must_use]
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })
}

/// The text of a file, `None` where there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { action: "read", path: path.to_owned(), source }),
    }
}
