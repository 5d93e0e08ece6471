//! The origin of a value.

use std::fmt;
use std::path::PathBuf;

/// The layer that a value comes from. Later variants override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file that is compiled into the program.
    Embedded(&'static str),
    /// A file: that of `--config`, `config.local.toml`, `.env`, or a table in the data directory.
    File(PathBuf),
    /// The environment variable with this name.
    Environment(String),
    /// The output of this program.
    Command(String),
    /// The option of the command line with this name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(out, "embedded `{name}`"),
            Self::File(path) => write!(out, "`{}`", path.display()),
            Self::Environment(name) => write!(out, "environment `{name}`"),
            Self::Command(program) => write!(out, "the output of `{program}`"),
            Self::Flag(flag) => write!(out, "flag `{flag}`"),
        }
    }
}
