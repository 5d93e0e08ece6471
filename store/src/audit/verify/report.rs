//! What a check has found.

use std::fmt;
use std::path::PathBuf;

use domain::port::audit::AuditCategory;

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The number of entries that were read, in the order of [`AuditCategory::ALL`].
    pub entries: [u64; AuditCategory::COUNT],
    /// The number of entries in segments that were removed for their age.
    pub removed: [u64; AuditCategory::COUNT],
    /// The number of signed tree heads, those of anchors included.
    pub tree_heads: u64,
    /// The number of compliance entries that a tree head has.
    pub signed: u64,
    /// Whether the chain values were checked.
    pub chains_checked: bool,
    /// What is no fault and worth knowing.
    pub notes: Vec<String>,
}

/// The first fault of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyFault {
    /// The file.
    pub path: PathBuf,
    /// The number of the first bad entry, where the fault is about one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl VerifyFault {
    pub(super) fn new(path: PathBuf, what: String) -> Self {
        Self { path, seq: None, what }
    }

    pub(super) fn at_entry(path: PathBuf, seq: u64, what: String) -> Self {
        Self { path, seq: Some(seq), what }
    }

    pub(super) fn unreadable(path: PathBuf) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::new(path, format!("it could not be read: {error}"))
    }
}

impl fmt::Display for VerifyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: ", self.path.display())?;
        if let Some(seq) = self.seq {
            write!(f, "entry {seq}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for VerifyFault {}
