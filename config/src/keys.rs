//! The raw side: every key with the value that won and its origin, and the readers that give it a type.
//!
//! `default.toml` says which keys exist. A later layer may only replace values; types and ranges are
//! checked in one place, when a setting is read, so that each fault has the same message.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::{Table, Value};

use crate::{Error, Origin};

/// A value as it was given, before its type is known.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
    /// What was written, where a resolved value took its place (`0 = one per core`).
    pub(crate) note: Option<String>,
}

/// All settings by dotted name.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    given: BTreeMap<String, Given>,
}

impl Keys {
    /// The first layer: whatever keys `text` has are the keys that exist.
    pub(crate) fn from_defaults(text: &str, origin: Origin) -> Result<Self, Error> {
        let mut flat = Vec::new();
        flatten("", parse(text, &origin)?, &mut flat);
        let given = flat
            .into_iter()
            .map(|(key, value)| {
                (
                    key,
                    Given {
                        value,
                        origin: origin.clone(),
                        note: None,
                    },
                )
            })
            .collect();
        Ok(Self { given })
    }

    /// Lays a TOML file over what there is.
    pub(crate) fn overlay_toml(&mut self, text: &str, origin: Origin) -> Result<(), Error> {
        let mut flat = Vec::new();
        flatten("", parse(text, &origin)?, &mut flat);
        for (key, value) in flat {
            self.replace(&key, value, origin.clone())?;
        }
        Ok(())
    }

    /// Lays one value over that came as text (environment, flags).
    pub(crate) fn overlay_text(
        &mut self,
        key: &str,
        text: &str,
        origin: Origin,
    ) -> Result<(), Error> {
        let value = match self.given.get(key) {
            Some(known) => typed_like(&known.value, text),
            None => Value::String(text.to_owned()),
        };
        self.replace(key, value, origin)
    }

    fn replace(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), Error> {
        if let Some(known) = self.given.get_mut(key) {
            *known = Given {
                value,
                origin,
                note: None,
            };
            return Ok(());
        }
        if self.is_empty_section(key, &value) {
            return Ok(());
        }
        Err(Error::UnknownKey {
            value: shown(key, &value).into(),
            allowed: self.siblings(key).into(),
            key: key.into(),
            origin,
        })
    }

    fn is_empty_section(&self, key: &str, value: &Value) -> bool {
        let prefix = format!("{key}.");
        value.as_table().is_some_and(Table::is_empty)
            && self.given.keys().any(|known| known.starts_with(&prefix))
    }

    /// The keys of the section that `key` would be in, or the sections when there is no such section.
    fn siblings(&self, key: &str) -> String {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let prefix = if section.is_empty() {
            String::new()
        } else {
            format!("{section}.")
        };
        let names: Vec<String> = self
            .given
            .keys()
            .filter_map(|known| known.strip_prefix(&prefix))
            .filter(|rest| !rest.contains('.'))
            .map(|rest| format!("`{prefix}{rest}`"))
            .collect();
        if !names.is_empty() && !section.is_empty() {
            return names.join(", ");
        }
        let mut sections: Vec<String> = self
            .given
            .keys()
            .filter_map(|known| known.split_once('.'))
            .map(|(section, _)| format!("section `{section}`"))
            .collect();
        sections.dedup();
        names
            .into_iter()
            .chain(sections)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Every key in order of name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.given.iter().map(|(key, given)| (key.as_str(), given))
    }

    /// The value that won for a key that `default.toml` has.
    pub(crate) fn given(&self, key: &str) -> &Given {
        &self.given[key]
    }

    /// The error for a value that is not accepted.
    pub(crate) fn refuse(&self, key: &str, allowed: impl Display) -> Error {
        let given = self.given(key);
        Error::WrongValue {
            key: key.into(),
            value: shown(key, &given.value).into(),
            origin: given.origin.clone(),
            allowed: allowed.to_string().into(),
        }
    }

    /// The error for a value that does not go together with `other`.
    pub(crate) fn contradicts(&self, key: &str, other: &str, allowed: impl Display) -> Error {
        let given = self.given(key);
        Error::Contradiction {
            key: key.into(),
            value: shown(key, &given.value).into(),
            origin: given.origin.clone(),
            other: format!("`{other}` = `{}`", shown(other, &self.given(other).value)).into(),
            allowed: allowed.to_string().into(),
        }
    }

    /// An integer within `range`.
    pub(crate) fn integer<T: TryFrom<i64>>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<T, Error> {
        let allowed = || format!("an integer from {} to {}", range.start(), range.end());
        match self.given(key).value {
            Value::Integer(number) if range.contains(&number) => {
                T::try_from(number).map_err(|_| self.refuse(key, allowed()))
            }
            _ => Err(self.refuse(key, allowed())),
        }
    }

    /// A duration given in seconds.
    pub(crate) fn seconds(&self, key: &str, range: RangeInclusive<i64>) -> Result<Duration, Error> {
        Ok(Duration::from_secs(self.integer(key, range)?))
    }

    /// A number of threads; 0 is resolved to `cores` and written back with a note.
    pub(crate) fn threads(&mut self, key: &str, cores: usize) -> Result<usize, Error> {
        let asked: usize = self.integer(key, 0..=1024)?;
        if asked > 0 {
            return Ok(asked);
        }
        self.resolve(
            key,
            Value::Integer(i64::try_from(cores).unwrap_or(1)),
            "0 = one per core",
        );
        Ok(cores)
    }

    /// Writes a resolved value over the one that was given.
    pub(crate) fn resolve(&mut self, key: &str, value: Value, note: &str) {
        if let Some(given) = self.given.get_mut(key) {
            given.value = value;
            given.note = Some(note.to_owned());
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str) -> Result<bool, Error> {
        self.given(key)
            .value
            .as_bool()
            .ok_or_else(|| self.refuse(key, "`true` or `false`"))
    }

    /// A string, possibly empty.
    pub(crate) fn text(&self, key: &str) -> Result<&str, Error> {
        self.given(key)
            .value
            .as_str()
            .ok_or_else(|| self.refuse(key, "a string"))
    }

    /// A string that is not empty.
    pub(crate) fn filled_text(&self, key: &str) -> Result<String, Error> {
        match self.text(key) {
            Ok(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => Err(self.refuse(key, "a string that is not empty")),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, Error> {
        let found = self
            .given(key)
            .value
            .as_str()
            .and_then(|word| choices.iter().find(|(name, _)| *name == word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            self.refuse(key, names.join(", "))
        })
    }

    /// An address to listen on.
    pub(crate) fn address(&self, key: &str) -> Result<SocketAddr, Error> {
        let parsed = self
            .given(key)
            .value
            .as_str()
            .and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| {
            self.refuse(
                key,
                "an IP address and port, e.g. `127.0.0.1:8080` or `[::1]:8080`",
            )
        })
    }

    /// A list of strings, each of which `accept` likes.
    pub(crate) fn list(
        &self,
        key: &str,
        accept: fn(&str) -> bool,
        allowed: &str,
    ) -> Result<Vec<String>, Error> {
        let items = self.given(key).value.as_array().map(|items| {
            items
                .iter()
                .map(|item| item.as_str().filter(|text| accept(text)).map(str::to_owned))
                .collect()
        });
        items.flatten().ok_or_else(|| self.refuse(key, allowed))
    }
}

/// A value as errors and `config print` may show it: secrets and passwords in URLs are hidden.
pub(crate) fn shown(key: &str, value: &Value) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let secret = ["secret", "password", "token", "key"];
    if secret
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")))
    {
        return "(hidden)".to_owned();
    }
    match value {
        Value::String(text) => without_password(text),
        other => other.to_string(),
    }
}

/// `https://user:password@host` without its user and password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://(hidden){}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}

/// Text from the environment or a flag, as the type that the default has. What does not parse stays a
/// string, which the reader of the setting refuses with the allowed values.
fn typed_like(known: &Value, text: &str) -> Value {
    let parsed = match known {
        Value::Integer(_) => text.replace('_', "").parse().map(Value::Integer).ok(),
        Value::Boolean(_) => text.parse().map(Value::Boolean).ok(),
        Value::Array(_) => Some(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        )),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn flatten(prefix: &str, table: Table, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&key, inner, into),
            value => into.push((key, value)),
        }
    }
}

fn parse(text: &str, origin: &Origin) -> Result<Table, Error> {
    toml::from_str(text).map_err(|fault| Error::syntax(origin.clone(), text, &fault))
}
