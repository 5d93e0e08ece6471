//! The raw settings: each key with its value and the origin of the value.
//!
//! The keys are those of `default.toml`. Later layers can only replace values. Types and ranges are checked when a
//! setting is read (`readers`), so that a fault has the same message in all layers.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::hide::shown;
use crate::{ConfigError, Origin};

/// A value as it was given, without a type.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
    /// The given text, if a resolved value has replaced it (`0 = one per core`).
    pub(crate) note: Option<String>,
}

/// All settings by their dotted names.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    given: BTreeMap<String, Given>,
}

impl Keys {
    /// Returns the first layer. No keys exist besides those of `text`.
    pub(crate) fn from_defaults(text: &str, origin: Origin) -> Result<Self, ConfigError> {
        let mut flat = Vec::new();
        flatten("", parse(text, &origin)?, &mut flat);
        let given =
            flat.into_iter().map(|(key, value)| (key, Given { value, origin: origin.clone(), note: None })).collect();
        Ok(Self { given })
    }

    /// Overrides values with those of a TOML file.
    pub(crate) fn overlay_toml(&mut self, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let mut flat = Vec::new();
        flatten("", parse(text, &origin)?, &mut flat);
        for (key, value) in flat {
            self.replace(&key, value, origin.clone())?;
        }
        Ok(())
    }

    /// Overrides one value with a text from the environment or the command line.
    pub(crate) fn overlay_text(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let value = match self.given.get(key) {
            Some(known) => typed_like(&known.value, text),
            None => Value::String(text.to_owned()),
        };
        self.replace(key, value, origin)
    }

    fn replace(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        if let Some(known) = self.given.get_mut(key) {
            *known = Given { value, origin, note: None };
            return Ok(());
        }
        if self.is_empty_section(key, &value) {
            return Ok(());
        }
        Err(ConfigError::UnknownKey {
            value: shown(key, &value).into(),
            allowed: self.siblings(key).into(),
            key: key.into(),
            origin,
        })
    }

    fn is_empty_section(&self, key: &str, value: &Value) -> bool {
        let prefix = format!("{key}.");
        value.as_table().is_some_and(Table::is_empty) && self.given.keys().any(|known| known.starts_with(&prefix))
    }

    /// Returns the keys of the section of `key`, or those of the top level if there is no such section.
    fn siblings(&self, key: &str) -> String {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let known_section: Vec<String> = self
            .given
            .keys()
            .filter(|known| known.rsplit_once('.').is_some_and(|(of, _)| of == section))
            .map(|known| format!("`{known}`"))
            .collect();
        if !known_section.is_empty() {
            return known_section.join(", ");
        }
        let mut top: Vec<String> = self
            .given
            .keys()
            .map(|known| match known.split_once('.') {
                Some((section, _)) => format!("section `{section}`"),
                None => format!("`{known}`"),
            })
            .collect();
        top.dedup();
        top.join(", ")
    }

    /// Returns all keys in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.given.iter().map(|(key, given)| (key.as_str(), given))
    }

    /// Replaces the given value by a resolved one.
    pub(crate) fn resolve(&mut self, key: &str, value: Value, note: &str) {
        if let Some(given) = self.given.get_mut(key) {
            given.value = value;
            given.note = Some(note.to_owned());
        }
    }

    /// Returns the value of a key of `default.toml`.
    pub(crate) fn given(&self, key: &str) -> &Given {
        &self.given[key]
    }
}

/// Parses a text from the environment or the command line as the type of the default. If that fails it stays a string,
/// which the reader of the setting refuses with the allowed values.
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
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&key, inner, into),
            value => into.push((key, value)),
        }
    }
}

fn parse(text: &str, origin: &Origin) -> Result<Table, ConfigError> {
    toml::from_str(text).map_err(|fault| ConfigError::syntax(origin.clone(), text, &fault))
}
