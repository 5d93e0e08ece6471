//! What a check has found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// What was checked, up to the first fault.
#[derive(Debug, Default)]
pub struct InspectReport {
    /// The kinds of records in the order in which they were checked, each with its counts.
    pub kinds: Vec<(&'static str, InspectedKind)>,
    /// The first fault.
    pub fault: Option<StoreFault>,
}

impl InspectReport {
    pub(super) fn add(&mut self, name: &'static str, kind: InspectedKind) {
        self.kinds.push((name, kind));
    }

    /// Returns the counts of a kind.
    pub fn kind(&self, name: &str) -> InspectedKind {
        self.kinds.iter().find(|(found, _)| *found == name).map(|(_, kind)| *kind).unwrap_or_default()
    }
}

/// How many records of a kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InspectedKind {
    /// Records whose key is there, and that opened.
    pub opened: u64,
    /// Records whose key was destroyed.
    pub destroyed: u64,
    /// Records whose key the keyring does not have: it is older than they are.
    pub without_key: u64,
}

/// Something that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault {
    what: &'static str,
    detail: String,
}

impl StoreFault {
    pub(super) fn new(what: &'static str, detail: String) -> Self {
        Self { what, detail }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)
    }
}

impl std::error::Error for StoreFault {}

/// Why a data directory could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no data.
    #[error("there is no data in `{}`: check the path", path.display())]
    NoData {
        /// The data directory.
        path: PathBuf,
    },
    /// A server uses the directory.
    #[error(
        "a server uses `{}`: stop it, or make a backup and check what is restored from it", path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The keyring or the copy does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file could not be read or copied.
    #[error("could not {doing} `{}` ({source}): check that it can be read, and that there is space for a copy of `sled`", path.display())]
    Disk {
        /// What was being done: an imperative.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl InspectError {
    pub(super) fn disk(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { doing, path: path.to_owned(), source }
    }
}
