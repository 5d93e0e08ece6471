//! What can be wrong with the configuration. Every message is one line that names the remedy.

use std::io;
use std::path::PathBuf;

use crate::Origin;

/// A start-up error. Display is one line; values of secret keys are never shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that no setting has.
    #[error("unknown setting `{key}` = `{value}` in {origin}; allowed: {allowed}")]
    UnknownKey {
        /// Dotted name of the key.
        key: Box<str>,
        /// What was given for it.
        value: Box<str>,
        /// Where it was given.
        origin: Origin,
        /// The keys of that section.
        allowed: Box<str>,
    },
    /// A value of the wrong type or out of its range.
    #[error("setting `{key}` = `{value}` in {origin} is not valid; allowed: {allowed}")]
    WrongValue {
        /// Dotted name of the key.
        key: Box<str>,
        /// What was given for it.
        value: Box<str>,
        /// Where it was given.
        origin: Origin,
        /// What may be given.
        allowed: Box<str>,
    },
    /// A value that does not go together with another one.
    #[error("setting `{key}` = `{value}` in {origin} contradicts {other}; allowed: {allowed}")]
    Contradiction {
        /// Dotted name of the key.
        key: Box<str>,
        /// What was given for it.
        value: Box<str>,
        /// Where it was given.
        origin: Origin,
        /// The setting that it clashes with, and its value.
        other: Box<str>,
        /// What would be accepted.
        allowed: Box<str>,
    },
    /// A file that could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was being done: read, create, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A table that was in use, and whose file is no more.
    #[error(
        "`{}` is gone: the table that it held stays in use; put one there, or restart for the embedded one",
        path.display()
    )]
    TableGone {
        /// The file.
        path: PathBuf,
    },
    /// Text that is not TOML, or a table of the wrong shape.
    #[error("{origin}, line {line}: {message}")]
    Syntax {
        /// Where the text came from.
        origin: Origin,
        /// Line of the fault, from 1.
        line: usize,
        /// What the parser said.
        message: Box<str>,
    },
    /// `.env` can be read by others than its owner.
    #[error("`{}` can be read by others (mode {mode:04o}); run `chmod 600 {}`", path.display(), path.display())]
    ExposedSecrets {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line of `.env` that cannot be read. Never shows the line.
    #[error("`{}`, line {line}: {fault}", path.display())]
    SecretsLine {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Box<str>,
    },
    /// A secret that is not 32 bytes in base64. Never shows it.
    #[error(
        "secret `{name}` in {origin} is not valid; allowed: 32 bytes in base64, e.g. from `openssl rand -base64 32`"
    )]
    WrongSecret {
        /// Name of the variable.
        name: &'static str,
        /// Where it was given.
        origin: Origin,
    },
    /// Production was started without a secret that it needs.
    #[error(
        "production needs the secret `{name}`; put `{name}=` and 32 bytes in base64 (`openssl rand -base64 32`) into `{}` with mode 0600",
        path.display()
    )]
    MissingSecret {
        /// Name of the variable.
        name: &'static str,
        /// The `.env` that was looked into.
        path: PathBuf,
    },
    /// Production was started with the local development key at hand.
    #[error("production refuses the local HS256 key; remove `{name}` from {origin}, or set `mode` = `development`")]
    DevelopmentSecret {
        /// Name of the variable.
        name: &'static str,
        /// Where it was given.
        origin: Origin,
    },
    /// The source of randomness failed while a secret was being made.
    #[error("cannot make the secret `{name}`: {source}")]
    Randomness {
        /// Name of the variable.
        name: &'static str,
        /// What the source said.
        source: io::Error,
    },
}

impl Error {
    /// A TOML error as one line. The parser's own Display spans several and quotes the source, which may
    /// hold a secret.
    pub(crate) fn syntax(origin: Origin, text: &str, fault: &toml::de::Error) -> Self {
        let start = fault.span().map_or(0, |span| span.start.min(text.len()));
        Self::Syntax {
            origin,
            line: text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
            message: fault.message().lines().collect::<Vec<_>>().join(", ").into(),
        }
    }
}
