//! Secrets, from the environment or from `.env` in the data directory, and never from a settings file.
//!
//! In development missing secrets are created at the first start. In production they are not: a server that has lost
//! its `.env` must not start with a new key, with which it cannot read its data.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use crate::dot_env::{DotEnv, lock_directory};
use crate::key_provider::{self, KeyProvider};
use crate::master_key::{MasterKeys, decode};
use crate::sections::{KeyProviderChoice, KeySettings};
use crate::{ConfigError, Mode, Origin};

/// Name of the variable with the master key.
pub const MASTER_KEY: &str = "PROFILE_SERVER_MASTER_KEY";
/// Name of the variable with the local development key for HS256 tokens.
pub const DEVELOPMENT_SECRET: &str = "PROFILE_SERVER_DEV_SECRET";

/// The server's own names in `.env`.
pub(crate) const NAMES: [&str; 2] = [MASTER_KEY, DEVELOPMENT_SECRET];
/// The file of secrets in the data directory.
pub(crate) const DOT_ENV: &str = ".env";

/// A key of 32 bytes, which is zeroized when dropped and hidden by `Debug`. The trait `ExposeSecret` of the crate
/// secrecy reads it.
pub type Key = SecretBox<[u8; 32]>;

/// A function of the caller that fills a buffer with random bytes of the operating system.
pub type Randomness<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<()>;

/// The secrets that the server starts with.
#[derive(Debug)]
pub struct Secrets {
    /// The root of the key tree, in all versions that are given.
    pub master_key: MasterKeys,
    /// The key that signs and verifies local tokens, in development only.
    pub development_secret: Option<Key>,
    /// Gives the master key again, which a rotation needs.
    pub key_provider: Box<dyn KeyProvider>,
    origins: Vec<(&'static str, Origin)>,
}

impl Secrets {
    /// Reads the secrets. `environment` (see [`process_environment`](crate::process_environment)) overrides `.env`. In
    /// development the data directory (mode 0700), `.env` (mode 0600) and keys are created if they are missing.
    ///
    /// # Errors
    /// Other users can read `.env`; a key is not 32 bytes in base64; the master key is given in another place than `keys` names;
    /// or, in production, the master key is missing or a development secret is set.
    pub fn load(
        data_dir: &Path,
        mode: Mode,
        keys: &KeySettings,
        environment: &[(String, String)],
        randomness: Randomness<'_>,
    ) -> Result<Self, ConfigError> {
        let path = data_dir.join(DOT_ENV);
        let mut file = DotEnv::read(&path, &NAMES)?;
        if mode == Mode::Development && made_names(keys).any(|name| is_missing(name, &file, environment)) {
            let _lock = lock_directory(data_dir)?;
            file = DotEnv::read(&path, &NAMES)?;
            make_missing(&mut file, made_names(keys), environment, randomness)?;
        }
        refuse_unused(keys, &file, &path, environment)?;
        let key_provider = key_provider::for_settings(data_dir, mode, keys, environment);
        let missing = || ConfigError::MissingSecret { name: MASTER_KEY, path: path.clone() };
        let (master_key, origin) = key_provider.read()?.ok_or_else(missing)?;
        let mut origins = vec![(MASTER_KEY, origin)];
        let development_secret = match find(DEVELOPMENT_SECRET, &file, &path, environment)? {
            Some((_, origin)) if mode == Mode::Production => {
                return Err(ConfigError::DevelopmentSecret { name: DEVELOPMENT_SECRET, origin });
            }
            Some((key, origin)) => {
                origins.push((DEVELOPMENT_SECRET, origin));
                Some(key)
            }
            None => None,
        };
        Ok(Self { master_key, development_secret, key_provider, origins })
    }

    /// Reads and checks the secrets without creating any. Returns `None` if a development server would create keys at
    /// its start.
    ///
    /// # Errors
    /// As [`Secrets::load`].
    pub fn look(
        data_dir: &Path,
        mode: Mode,
        keys: &KeySettings,
        environment: &[(String, String)],
    ) -> Result<Option<Self>, ConfigError> {
        let path = data_dir.join(DOT_ENV);
        let file = DotEnv::read(&path, &NAMES)?;
        if mode == Mode::Development && made_names(keys).any(|name| is_missing(name, &file, environment)) {
            key_provider::for_settings(data_dir, mode, keys, environment).read()?;
            find(DEVELOPMENT_SECRET, &file, &path, environment)?;
            return Ok(None);
        }
        let mut none_made = |_: &mut [u8]| Err(io::Error::other("no key is missing"));
        Self::load(data_dir, mode, keys, environment, &mut none_made).map(Some)
    }

    /// Returns a line for each secret with its name and origin. The values are hidden.
    #[must_use]
    pub fn print(&self) -> String {
        self.origins.iter().map(|(name, origin)| format!("{name} = (hidden)  # {origin}\n")).collect()
    }
}

/// Returns the names of the secrets that a development server creates.
fn made_names(keys: &KeySettings) -> impl Iterator<Item = &'static str> {
    let has_master_key = keys.provider == KeyProviderChoice::Environment;
    NAMES.into_iter().filter(move |name| *name != MASTER_KEY || has_master_key)
}

/// Refuses a master key in a place that is not read: it may be the one that protects the data.
fn refuse_unused(
    keys: &KeySettings,
    file: &DotEnv,
    path: &Path,
    environment: &[(String, String)],
) -> Result<(), ConfigError> {
    if keys.provider == KeyProviderChoice::Environment {
        return Ok(());
    }
    if from_environment(MASTER_KEY, environment).is_some() {
        return Err(ConfigError::UnusedMasterKey { origin: Origin::Environment(MASTER_KEY.to_owned()) });
    }
    match file.get(MASTER_KEY) {
        Some(_) => Err(ConfigError::UnusedMasterKey { origin: Origin::File(path.to_owned()) }),
        None => Ok(()),
    }
}

pub(crate) fn from_environment<'a>(name: &str, environment: &'a [(String, String)]) -> Option<&'a str> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_missing(name: &str, file: &DotEnv, environment: &[(String, String)]) -> bool {
    from_environment(name, environment).is_none() && file.get(name).is_none()
}

fn make_missing(
    file: &mut DotEnv,
    names: impl Iterator<Item = &'static str>,
    environment: &[(String, String)],
    randomness: Randomness<'_>,
) -> Result<(), ConfigError> {
    let mut lines = Zeroizing::new(String::new());
    for name in names {
        if is_missing(name, file, environment) {
            let mut key = Zeroizing::new([0; 32]);
            randomness(&mut *key).map_err(|source| ConfigError::Randomness { name, source })?;
            let text = Zeroizing::new(STANDARD.encode(*key));
            lines.push_str(&format!("{name}={}\n", *text));
        }
    }
    if lines.is_empty() { Ok(()) } else { file.append(&lines) }
}

fn find(
    name: &'static str,
    file: &DotEnv,
    path: &Path,
    environment: &[(String, String)],
) -> Result<Option<(Key, Origin)>, ConfigError> {
    let (text, origin) = match (from_environment(name, environment), file.get(name)) {
        (Some(text), _) => (text, Origin::Environment(name.to_owned())),
        (None, Some(text)) => (text, Origin::File(path.to_owned())),
        (None, None) => return Ok(None),
    };
    match decode(text) {
        Some(key) => Ok(Some((key, origin))),
        None => Err(ConfigError::WrongSecret { name, origin }),
    }
}

#[cfg(test)]
mod tests;
