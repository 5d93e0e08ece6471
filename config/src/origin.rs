//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// The layer that gave a value; later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file that is compiled in.
    Embedded(&'static str),
    /// `--config FILE`, `config.local.toml`, `.env` or a table beside them.
    File(PathBuf),
    /// A variable of the environment, by name.
    Environment(String),
    /// The command line: the flag as the user typed it.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(out, "embedded `{name}`"),
            Self::File(path) => write!(out, "`{}`", path.display()),
            Self::Environment(name) => write!(out, "environment `{name}`"),
            Self::Flag(flag) => write!(out, "flag `{flag}`"),
        }
    }
}
