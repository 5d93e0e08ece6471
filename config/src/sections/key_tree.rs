//! The keys at the root of everything that is encrypted.

use std::path::PathBuf;
use std::time::Duration;

use super::DAY_S;
use crate::ConfigError;
use crate::keys::Keys;

/// Where the master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProviderChoice {
    /// The environment, or `.env` in the data directory.
    Environment,
    /// The content of a file, by its path.
    File(PathBuf),
    /// The output of a program: its path and arguments.
    Command(Vec<String>),
}

/// The section `[keys]`.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// Where the master key comes from.
    pub provider: KeyProviderChoice,
    /// Maximum time that a command may take.
    pub command_timeout: Duration,
    /// Maximum number of versions of the master key that are kept in `.env`.
    pub master_versions: usize,
    /// Age of the master key and the ring key from which on a warning is given.
    pub master_max_age: Duration,
    /// Age of credentials from which on a warning is given.
    pub credential_max_age: Duration,
}

impl KeySettings {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        let days = |key: &str| keys.integer(key, 1..=36_525).map(|days: u64| Duration::from_secs(days * DAY_S as u64));
        Ok(Self {
            provider: provider(keys)?,
            command_timeout: keys.seconds("keys.command_timeout_s", 1..=300)?,
            master_versions: keys.integer("keys.master_versions", 2..=16)?,
            master_max_age: days("keys.master_max_age_days")?,
            credential_max_age: days("keys.credential_max_age_days")?,
        })
    }
}

fn provider(keys: &Keys) -> Result<KeyProviderChoice, ConfigError> {
    let file = keys.text("keys.file")?;
    let command = keys.list("keys.command", |_| true, "a list of a program and its arguments")?;
    let choices = [("environment", 0), ("file", 1), ("command", 2)];
    let chosen = keys.choice("keys.provider", &choices)?;
    if chosen != 1 && !file.is_empty() {
        return Err(keys.contradicts("keys.file", "keys.provider", "an empty string, or `keys.provider` = `file`"));
    }
    if chosen != 2 && !command.is_empty() {
        return Err(keys.contradicts("keys.command", "keys.provider", "an empty list, or `keys.provider` = `command`"));
    }
    match chosen {
        0 => Ok(KeyProviderChoice::Environment),
        1 if file.is_empty() => Err(keys.refuse("keys.file", "the path of the file with the master key")),
        1 => Ok(KeyProviderChoice::File(PathBuf::from(file))),
        _ if command.first().is_none_or(String::is_empty) => {
            Err(keys.refuse("keys.command", "a list of a program and its arguments"))
        }
        _ => Ok(KeyProviderChoice::Command(command)),
    }
}
