//! Tables in the data directory that are read again when they change.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::sources::read_if_there;
use crate::table_file::TableFile;
use crate::{ConfigError, Origin};

/// A table in the data directory of a running server.
pub struct Watched<T> {
    path: PathBuf,
    parse: fn(&TableFile) -> Result<T, ConfigError>,
    /// The text of the file when it was last read; `None` if there was no file.
    seen: Option<String>,
    /// Why the file could not be read the last time.
    fault: Option<io::ErrorKind>,
}

impl<T> Watched<T> {
    /// Returns the file at `path`, which has not been read yet.
    pub(crate) fn new(path: PathBuf, parse: fn(&TableFile) -> Result<T, ConfigError>) -> Self {
        Self { path, parse, seen: None, fault: None }
    }

    /// Returns the table if the file has changed since the last call. The texts are compared, so a change that keeps
    /// the time and the length of the file is found too.
    ///
    /// # Errors
    /// The table is refused, or its file was removed. Then the table in use must stay in use: otherwise restrictions
    /// would be lifted for the moment in which an editor replaces the file. Each fault is returned once.
    pub fn look(&mut self) -> Result<Option<T>, ConfigError> {
        let found = match read_if_there(&self.path) {
            Ok(found) => found,
            // The content of the file is unknown, so the last known content is kept.
            Err(error) => {
                let kind = match &error {
                    ConfigError::File { source, .. } => source.kind(),
                    _ => io::ErrorKind::Other,
                };
                return if self.fault.replace(kind) == Some(kind) { Ok(None) } else { Err(error) };
            }
        };
        self.fault = None;
        if found == self.seen {
            return Ok(None);
        }
        self.seen.clone_from(&found);
        let text = found.ok_or_else(|| ConfigError::TableGone { path: self.path.clone() })?;
        (self.parse)(&TableFile { text, origin: Origin::File(self.path.clone()) }).map(Some)
    }
}

impl<T> Watched<T> {
    /// Returns the text of the file when it was last read; `None` if there was no file.
    pub fn text(&self) -> Option<&str> {
        self.seen.as_deref()
    }

    /// Makes the next call of [`Self::look`] return the table again, because the last one could not be put in force.
    pub fn forget(&mut self) {
        self.seen = None;
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.path.display())
    }
}
