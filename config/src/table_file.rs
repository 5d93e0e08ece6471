//! Tables that operators can replace by a file in the data directory.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::sources::read_if_there;
use crate::{ConfigError, Origin};

/// The text of a table, and its origin.
pub(crate) struct TableFile {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl TableFile {
    pub(crate) fn embedded(name: &'static str, text: &str) -> Self {
        Self { text: text.to_owned(), origin: Origin::Embedded(name) }
    }

    /// Reads the file `name` in `data_dir`, or returns the embedded text if there is none.
    pub(crate) fn find(data_dir: &Path, name: &'static str, embedded: &str) -> Result<Self, ConfigError> {
        let path = data_dir.join(name);
        Ok(match read_if_there(&path)? {
            Some(text) => Self { text, origin: Origin::File(path) },
            None => Self::embedded(name, embedded),
        })
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|fault| ConfigError::syntax(self.origin.clone(), &self.text, &fault))
    }

    /// Returns the error for an entry that names something that does not exist. The error names the first line that
    /// contains `entry`.
    pub(crate) fn refuse(&self, entry: &str, fault: String) -> ConfigError {
        let line = self.text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(entry));
        ConfigError::Syntax {
            origin: self.origin.clone(),
            line: line.map_or(1, |index| index + 1),
            message: fault.into(),
        }
    }
}
