//! Where the master key comes from: the port of key providers, and the providers that the settings can name.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use crate::dot_env::{DotEnv, lock_directory, refuse_exposed};
use crate::master_key::MasterKeys;
use crate::secrets::{DOT_ENV, MASTER_KEY, NAMES, Randomness, from_environment};
use crate::sections::{KeyProviderChoice, KeySettings};
use crate::{ConfigError, Mode, Origin};

/// Maximum number of bytes that a file or command may give.
const MAX_TEXT: u64 = 64 << 10;

/// Gives the master key, at the start and at each rotation.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// Reads the versions that are given now, and where they come from. `None` if none is, which only the provider
    /// `environment` accepts: in development the first start makes a key.
    ///
    /// # Errors
    /// What is given cannot be read, or is not a master key.
    fn read(&self) -> Result<Option<(MasterKeys, Origin)>, ConfigError>;

    /// Adds a fresh version where this provider keeps the versions, without the oldest ones beyond those that are kept. Returns its
    /// number. Durable when it returns.
    ///
    /// # Errors
    /// This provider only reads, or the version cannot be stored.
    fn add(&self, randomness: Randomness<'_>) -> Result<u32, ConfigError>;
}

/// Returns the provider that the settings name.
pub(crate) fn for_settings(
    data_dir: &Path,
    mode: Mode,
    settings: &KeySettings,
    environment: &[(String, String)],
) -> Box<dyn KeyProvider> {
    match &settings.provider {
        KeyProviderChoice::Environment => Box::new(EnvironmentKeys {
            path: data_dir.join(DOT_ENV),
            value: from_environment(MASTER_KEY, environment).map(|value| Zeroizing::new(value.to_owned())),
            is_writable: mode == Mode::Development,
            keep: settings.master_versions,
        }),
        KeyProviderChoice::File(path) => Box::new(FileKeys(path.clone())),
        KeyProviderChoice::Command(command) => {
            Box::new(CommandKeys { command: command.clone(), timeout: settings.command_timeout })
        }
    }
}

/// The variable of the environment, or the line in `.env`.
struct EnvironmentKeys {
    /// `.env` in the data directory.
    path: PathBuf,
    /// The variable, which comes before the file.
    value: Option<Zeroizing<String>>,
    /// Whether rotations may write to the file.
    is_writable: bool,
    /// Maximum number of versions that are kept in the file.
    keep: usize,
}

impl fmt::Debug for EnvironmentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentKeys({})", self.path.display())
    }
}

impl EnvironmentKeys {
    fn find(&self, file: &DotEnv) -> Result<Option<(MasterKeys, Origin)>, ConfigError> {
        let (text, origin) = match (&self.value, file.get(MASTER_KEY)) {
            (Some(text), _) => (text.as_str(), Origin::Environment(MASTER_KEY.to_owned())),
            (None, Some(text)) => (text, Origin::File(self.path.clone())),
            (None, None) => return Ok(None),
        };
        match MasterKeys::parse(text) {
            Some(keys) => Ok(Some((keys, origin))),
            None => Err(ConfigError::WrongMasterKey { origin }),
        }
    }
}

impl KeyProvider for EnvironmentKeys {
    fn read(&self) -> Result<Option<(MasterKeys, Origin)>, ConfigError> {
        self.find(&DotEnv::read(&self.path, &NAMES)?)
    }

    fn add(&self, randomness: Randomness<'_>) -> Result<u32, ConfigError> {
        if !self.is_writable || self.value.is_some() {
            return Err(ConfigError::NoNewMasterKey);
        }
        let _lock = lock_directory(self.path.parent().unwrap_or(Path::new(".")))?;
        let mut file = DotEnv::read(&self.path, &NAMES)?;
        let (mut keys, _) = self.find(&file)?.ok_or(ConfigError::NoNewMasterKey)?;
        let mut bytes = Box::new([0; 32]);
        randomness(&mut *bytes).map_err(|source| ConfigError::Randomness { name: MASTER_KEY, source })?;
        let number = keys.add(SecretBox::new(bytes), self.keep).ok_or(ConfigError::NoNewMasterKey)?;
        file.set(MASTER_KEY, &keys.to_text())?;
        Ok(number)
    }
}

/// A file that only its owner can read.
#[derive(Debug)]
struct FileKeys(PathBuf);

impl KeyProvider for FileKeys {
    fn read(&self) -> Result<Option<(MasterKeys, Origin)>, ConfigError> {
        let failed = |source| ConfigError::File { action: "read", path: self.0.clone(), source };
        let file = File::open(&self.0).map_err(failed)?;
        refuse_exposed(&file, &self.0)?;
        let text = read_text(file).map_err(failed)?;
        let origin = Origin::File(self.0.clone());
        match MasterKeys::parse(&text) {
            Some(keys) => Ok(Some((keys, origin))),
            None => Err(ConfigError::WrongMasterKey { origin }),
        }
    }

    fn add(&self, _: Randomness<'_>) -> Result<u32, ConfigError> {
        Err(ConfigError::NoNewMasterKey)
    }
}

/// A program that prints the master key, such as the client of a key management service.
#[derive(Debug)]
struct CommandKeys {
    /// The program and its arguments.
    command: Vec<String>,
    timeout: Duration,
}

impl CommandKeys {
    fn failed(&self, fault: impl Into<String>) -> ConfigError {
        let program = self.command.first().cloned().unwrap_or_default();
        ConfigError::KeyCommand { program: program.into(), fault: fault.into().into() }
    }

    fn run(&self) -> Result<Zeroizing<String>, ConfigError> {
        let (program, arguments) = self.command.split_first().ok_or_else(|| self.failed("is not named"))?;
        let mut command = Command::new(program);
        // Its messages go where the server's do. The variable would be of no use to it.
        command.args(arguments).env_remove(MASTER_KEY).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.failed(format!("could not be started ({error})")))?;
        let result = self.read_output(&mut child);
        if result.is_err() {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| self.failed(format!("was lost ({error})")))?;
        let text = result?;
        if status.success() { Ok(text) } else { Err(self.failed(format!("failed with {status}"))) }
    }

    /// Reads what the command prints, until it closes its output.
    fn read_output(&self, child: &mut Child) -> Result<Zeroizing<String>, ConfigError> {
        let output = child.stdout.take().ok_or_else(|| self.failed("has no output"))?;
        let (sender, receiver) = mpsc::channel();
        // It ends when the output is closed, which killing the command does.
        let read = move || drop(sender.send(read_text(output)));
        let started = thread::Builder::new().name("master-key".to_owned()).spawn(read);
        started.map_err(|error| self.failed(format!("could not be read ({error})")))?;
        match receiver.recv_timeout(self.timeout) {
            Ok(text) => text.map_err(|error| self.failed(format!("could not be read ({error})"))),
            Err(_) => Err(self.failed(format!("took more than {} seconds", self.timeout.as_secs()))),
        }
    }
}

impl KeyProvider for CommandKeys {
    fn read(&self) -> Result<Option<(MasterKeys, Origin)>, ConfigError> {
        let text = self.run()?;
        let keys = MasterKeys::parse(&text).ok_or_else(|| self.failed("printed no master key"))?;
        Ok(Some((keys, Origin::Command(self.command.first().cloned().unwrap_or_default()))))
    }

    fn add(&self, _: Randomness<'_>) -> Result<u32, ConfigError> {
        Err(ConfigError::NoNewMasterKey)
    }
}

/// Reads a short text, of which no copy stays in memory.
fn read_text(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT as usize + 1));
    from.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::other("it is not text")),
    }
}

#[cfg(test)]
mod tests;
