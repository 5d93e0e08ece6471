//! The file `.env`: lines of `NAME=value`, readable only by its owner.
//!
//! The crate `dotenvy` is not used: its errors contain the line, which may be a secret, its copies of values stay in
//! memory, and it replaces `$NAME` in values by variables of the environment.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use crate::ConfigError;

/// The prefix of the server's own variables. An unknown name with this prefix is refused, because it is probably
/// misspelt.
const OWN_PREFIX: &str = "PROFILE_SERVER_";

/// The content of `.env`, which is zeroized when dropped. It is empty if there is no file.
pub(crate) struct DotEnv {
    path: PathBuf,
    text: Zeroizing<String>,
}

impl DotEnv {
    /// Reads the file and checks each line. `known` are the server's own names that are allowed.
    pub(crate) fn read(path: &Path, known: &[&str]) -> Result<Self, ConfigError> {
        let mut text = Zeroizing::new(String::new());
        match File::open(path) {
            Ok(mut file) => {
                refuse_exposed(&file, path)?;
                file.read_to_string(&mut text).map_err(|source| failed("read", path, source))?;
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("read", path, source)),
        }
        let read = Self { path: path.to_owned(), text };
        read.check_lines(known)?;
        Ok(read)
    }

    /// Returns the value of a name. The last line with the name counts.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.text.lines().rev().filter_map(entry).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Adds lines, and replaces the file atomically by a synced one with mode 0600.
    pub(crate) fn append(&mut self, lines: &str) -> Result<(), ConfigError> {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(lines);
        self.replace()
    }

    /// Sets a name, in place of all lines that have it, and replaces the file as [`Self::append`] does.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let mut text = Zeroizing::new(String::with_capacity(self.text.len() + name.len() + value.len() + 3));
        for line in self.text.lines().filter(|line| entry(line).is_none_or(|(known, _)| known != name)) {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
        self.text = text;
        self.replace()
    }

    /// Replaces the file by one with this text.
    fn replace(&self) -> Result<(), ConfigError> {
        let new = self.path.with_extension("new");
        write_private(&new, &self.text).map_err(|source| failed("write", &new, source))?;
        fs::rename(&new, &self.path).map_err(|source| failed("write", &self.path, source))?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory).and_then(|file| file.sync_all()).map_err(|source| failed("sync", directory, source))
    }

    fn check_lines(&self, known: &[&str]) -> Result<(), ConfigError> {
        for (index, line) in self.text.lines().enumerate() {
            let fault = match entry(line) {
                Some((name, _)) if name.starts_with(OWN_PREFIX) && !known.contains(&name) => {
                    format!("unknown name `{name}`; allowed: `{}`", known.join("`, `"))
                }
                Some(_) => continue,
                None if line.trim().is_empty() || line.trim_start().starts_with('#') => continue,
                None => "not of the form `NAME=value`".to_owned(),
            };
            return Err(ConfigError::SecretsLine { path: self.path.clone(), line: index + 1, fault: fault.into() });
        }
        Ok(())
    }
}

/// Creates the data directory (mode 0700) if it is missing, and locks it: of two first starts at the same time one
/// creates the secrets and the other reads them. Dropping the returned file releases the lock.
pub(crate) fn lock_directory(path: &Path) -> Result<File, ConfigError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| failed("create", path, source))?;
    let directory = File::open(path).map_err(|source| failed("read", path, source))?;
    directory.lock().map_err(|source| failed("lock", path, source))?;
    Ok(directory)
}

/// Refuses a file that others can read. The open file is checked, so it cannot be replaced before it is read.
pub(crate) fn refuse_exposed(file: &File, path: &Path) -> Result<(), ConfigError> {
    let mode = file.metadata().map_err(|source| failed("read", path, source))?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(ConfigError::ExposedSecrets { path: path.to_owned(), mode }) }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // A file left by an interrupted start could have any mode, so it is removed first.
    if let Err(fault) = fs::remove_file(path)
        && fault.kind() != io::ErrorKind::NotFound
    {
        return Err(fault);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Parses `NAME=value`, with an optional `export` and optional quotes; `None` for everything else, such as comments.
fn entry(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    is_name.then_some((name, quoted.unwrap_or(value)))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ConfigError {
    ConfigError::File { action, path: path.to_owned(), source }
}
