//! Errors of the configuration. Each message is one line that says how to fix it.

use std::io;
use std::path::PathBuf;

use crate::Origin;

/// An error of the configuration. Its text is one line and never contains the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting does not exist.
    #[error("unknown setting `{key}` = `{value}` in {origin}; allowed: {allowed}")]
    UnknownKey {
        /// Dotted name of the key.
        key: Box<str>,
        /// The given value.
        value: Box<str>,
        /// The origin of the value.
        origin: Origin,
        /// The keys of that section.
        allowed: Box<str>,
    },
    /// A value has the wrong type or is out of range.
    #[error("setting `{key}` = `{value}` in {origin} is not valid; allowed: {allowed}")]
    WrongValue {
        /// Dotted name of the key.
        key: Box<str>,
        /// The given value.
        value: Box<str>,
        /// The origin of the value.
        origin: Origin,
        /// The allowed values.
        allowed: Box<str>,
    },
    /// A value contradicts another one.
    #[error("setting `{key}` = `{value}` in {origin} contradicts {other}; allowed: {allowed}")]
    Contradiction {
        /// Dotted name of the key.
        key: Box<str>,
        /// The given value.
        value: Box<str>,
        /// The origin of the value.
        origin: Origin,
        /// The setting that it contradicts, and its value.
        other: Box<str>,
        /// The values that would be accepted.
        allowed: Box<str>,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// The action that failed: read, create, write, lock or sync.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file of the table in use was removed.
    #[error(
        "`{}` was removed: its table stays in use; restore the file, or restart the server to use the embedded table",
        path.display()
    )]
    TableGone {
        /// The file.
        path: PathBuf,
    },
    /// A text is not TOML, or a table has the wrong structure.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// The origin of the text.
        origin: Origin,
        /// Number of the faulty line, from 1.
        line: usize,
        /// The message of the parser.
        message: Box<str>,
    },
    /// Other users can read `.env`.
    #[error("`{}` can be read by others (mode {mode:04o}); run `chmod 600 {}`", path.display(), path.display())]
    ExposedSecrets {
        /// The file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
    },
    /// A line of `.env` is not valid. The text does not contain the line.
    #[error("`{}`, line {line}: {fault}", path.display())]
    SecretsLine {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Box<str>,
    },
    /// A secret is not 32 bytes in base64. The text does not contain it.
    #[error(
        "secret `{name}` in {origin} is not valid; allowed: 32 bytes in base64, e.g. from `openssl rand -base64 32`"
    )]
    WrongSecret {
        /// Name of the variable.
        name: &'static str,
        /// The origin of the value.
        origin: Origin,
    },
    /// What is given as the master key is not one. The text does not contain it.
    #[error(
        "the master key in {origin} is not valid; allowed: 32 bytes in base64, e.g. from `openssl rand -base64 32`, or versions of them such as `PROFILE_SERVER_MASTER_KEY=2:NEW,1:OLD`"
    )]
    WrongMasterKey {
        /// The origin of the value.
        origin: Origin,
    },
    /// The command that gives the master key has failed. The text does not contain what it printed.
    #[error("the command `{program}` of `keys.command` {fault}: run it by hand, and see that it prints the master key")]
    KeyCommand {
        /// The program.
        program: Box<str>,
        /// What went wrong: completes "the command …".
        fault: Box<str>,
    },
    /// A new version of the master key is needed, and the server must not make it.
    #[error(
        "there is no newer master key: make one with `openssl rand -base64 32`, and put it before the older versions where `keys.provider` reads them, such as `2:NEW,1:OLD`"
    )]
    NoNewMasterKey,
    /// A master key is set where the settings do not look for it.
    #[error("`keys.provider` says where the master key comes from, but {origin} has one, too: remove it there")]
    UnusedMasterKey {
        /// The origin of the key that is not used.
        origin: Origin,
    },
    /// A secret that production needs is missing.
    #[error(
        "production needs the secret `{name}`; put `{name}=` and 32 bytes in base64 (`openssl rand -base64 32`) into `{}` with mode 0600",
        path.display()
    )]
    MissingSecret {
        /// Name of the variable.
        name: &'static str,
        /// The `.env` in which it was looked up.
        path: PathBuf,
    },
    /// The local development key is set in production.
    #[error("production refuses the local HS256 key; remove `{name}` from {origin}, or set `mode` = `development`")]
    DevelopmentSecret {
        /// Name of the variable.
        name: &'static str,
        /// The origin of the value.
        origin: Origin,
    },
    /// The random number generator failed while a secret was created.
    #[error("cannot create the secret `{name}`: {source}")]
    Randomness {
        /// Name of the variable.
        name: &'static str,
        /// The error of the generator.
        source: io::Error,
    },
}

impl ConfigError {
    /// Returns a TOML error as one line. The text of the parser has several lines and quotes the source, which may
    /// contain a secret.
    pub(crate) fn syntax(origin: Origin, text: &str, fault: &toml::de::Error) -> Self {
        let start = fault.span().map_or(0, |span| span.start.min(text.len()));
        Self::Syntax {
            origin,
            line: text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
            message: fault.message().lines().collect::<Vec<_>>().join(", ").into(),
        }
    }
}
