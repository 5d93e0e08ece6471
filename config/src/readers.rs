//! Reads settings as typed values, or returns errors that name the allowed values.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Value;

use crate::ConfigError;
use crate::hide::shown;
use crate::keys::Keys;

impl Keys {
    /// Returns the error for a value that is not valid.
    pub(crate) fn refuse(&self, key: &str, allowed: impl Display) -> ConfigError {
        let given = self.given(key);
        ConfigError::WrongValue {
            key: key.into(),
            value: shown(key, &given.value).into(),
            origin: given.origin.clone(),
            allowed: allowed.to_string().into(),
        }
    }

    /// Returns the error for a value that contradicts the setting `other`.
    pub(crate) fn contradicts(&self, key: &str, other: &str, allowed: impl Display) -> ConfigError {
        let given = self.given(key);
        ConfigError::Contradiction {
            key: key.into(),
            value: shown(key, &given.value).into(),
            origin: given.origin.clone(),
            other: format!("`{other}` = `{}`", shown(other, &self.given(other).value)).into(),
            allowed: allowed.to_string().into(),
        }
    }

    /// Reads an integer within `range`.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, key: &str, range: RangeInclusive<i64>) -> Result<T, ConfigError> {
        let allowed = || format!("an integer from {} to {}", range.start(), range.end());
        match self.given(key).value {
            Value::Integer(number) if range.contains(&number) => {
                T::try_from(number).map_err(|_| self.refuse(key, allowed()))
            }
            _ => Err(self.refuse(key, allowed())),
        }
    }

    /// Reads a duration in seconds.
    pub(crate) fn seconds(&self, key: &str, range: RangeInclusive<i64>) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.integer(key, range)?))
    }

    /// Reads a number of threads. 0 is replaced by `cores`, with a note.
    pub(crate) fn threads(&mut self, key: &str, cores: usize) -> Result<usize, ConfigError> {
        let asked: usize = self.integer(key, 0..=1024)?;
        if asked > 0 {
            return Ok(asked);
        }
        self.resolve(key, Value::Integer(i64::try_from(cores).unwrap_or(1)), "0 = one per core");
        Ok(cores)
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        self.given(key).value.as_bool().ok_or_else(|| self.refuse(key, "`true` or `false`"))
    }

    /// Reads a string, which may be empty.
    pub(crate) fn text(&self, key: &str) -> Result<&str, ConfigError> {
        self.given(key).value.as_str().ok_or_else(|| self.refuse(key, "a string"))
    }

    /// Reads a string that must not be empty.
    pub(crate) fn filled_text(&self, key: &str) -> Result<String, ConfigError> {
        match self.text(key) {
            Ok(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => Err(self.refuse(key, "a string that is not empty")),
        }
    }

    /// Reads one of a few words.
    pub(crate) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let found = self.given(key).value.as_str().and_then(|word| choices.iter().find(|(name, _)| *name == word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.refuse(key, names.join(", "))
        })
    }

    /// Reads an address to listen on.
    pub(crate) fn address(&self, key: &str) -> Result<SocketAddr, ConfigError> {
        let parsed = self.given(key).value.as_str().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| self.refuse(key, "an IP address and port, e.g. `127.0.0.1:8080` or `[::1]:8080`"))
    }

    /// Reads a list of strings, each of which `accept` must accept.
    pub(crate) fn list(&self, key: &str, accept: fn(&str) -> bool, allowed: &str) -> Result<Vec<String>, ConfigError> {
        let items = self.given(key).value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().filter(|text| accept(text)).map(str::to_owned)).collect()
        });
        items.flatten().ok_or_else(|| self.refuse(key, allowed))
    }
}
