//! What is held of the profile, and how it changes.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Map, Value};

/// One line's worth of change.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// A path and its new value.
    Added(String, String),
    /// A path and its new value.
    Changed(String, String),
    /// A path that is gone.
    Removed(String),
}

/// The profile as the server last said it.
#[derive(Debug, Default)]
pub(super) struct Document {
    held: Option<Value>,
    /// Where to go on from.
    pub(super) cursor: Option<String>,
}

/// Members that change with every revision, and say nothing of the person.
const ENVELOPE: [&str; 6] =
    ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"];

impl Document {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// Takes a whole profile, and says what is new about it.
    pub(super) fn replace(&mut self, profile: Value) -> Vec<Change> {
        let before = self.held.replace(profile);
        differences(before.as_ref(), self.held.as_ref())
    }

    /// Takes a patch (RFC 6902) and the envelope beside it.
    ///
    /// # Errors
    /// It does not continue what is held.
    pub(super) fn patch(&mut self, frame: &Value) -> anyhow::Result<Vec<Change>> {
        let held = self.held.as_mut().context("a patch came before the profile")?;
        let before = held.clone();
        let operations: json_patch::Patch = serde_json::from_value(frame["operations"].clone())?;
        json_patch::patch(held, &operations)?;
        for (name, value) in frame["envelope"].as_object().into_iter().flatten() {
            held[name] = value.clone();
        }
        Ok(differences(Some(&before), Some(held)))
    }

    /// Nothing may be seen any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    changes
}

/// Walks both down to where they differ. What is new or gone is one change, however much it holds.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if !ENVELOPE.contains(&path.as_str()) {
                    compare(&path, before.get(name), after.get(name), changes);
                }
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if let Some((before, after)) = by_id(before, after) => {
            for id in before.keys().chain(after.keys().filter(|id| !before.contains_key(*id))) {
                let (before, after) = (before.get(id).copied(), after.get(id).copied());
                compare(&format!("{path}[{id}]"), before, after, changes);
            }
        }
        (Some(_), Some(after)) => changes.push(Change::Changed(path.to_owned(), after.to_string())),
        (None, Some(after)) => changes.push(Change::Added(path.to_owned(), after.to_string())),
        (Some(_), None) => changes.push(Change::Removed(path.to_owned())),
        (None, None) => {}
    }
}

type Items<'a> = BTreeMap<&'a str, &'a Value>;

/// Lists whose items have ids, by these: so an item that only moved is not shown.
fn by_id<'a>(before: &'a [Value], after: &'a [Value]) -> Option<(Items<'a>, Items<'a>)> {
    let keyed = |items: &'a [Value]| -> Option<Items<'a>> {
        items.iter().map(|item| Some((id(item.as_object()?)?, item))).collect()
    };
    Some((keyed(before)?, keyed(after)?))
}

fn id(item: &Map<String, Value>) -> Option<&str> {
    ["scheme_id", "deadline_id"].iter().find_map(|name| item.get(*name)?.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_withdrawal_shows_as_lost_fields_and_a_moved_item_not_at_all() {
        let mut document = Document::default();
        let item = |id: &str, days: u32| json!({"deadline_id": id, "days_remaining": days});
        let deadlines = json!({"upcoming": [item("a", 3), item("b", 4)]});
        document.replace(json!({"revision": 1, "economic": {"income_bracket": "5L-10L"}, "deadlines": deadlines}));
        let patch = json!({
            "operations": [
                {"op": "remove", "path": "/economic"},
                {"op": "add", "path": "/deadlines/upcoming/0", "value": item("c", 1)},
                {"op": "replace", "path": "/deadlines/upcoming/2/days_remaining", "value": 9},
            ],
            "envelope": {"revision": 2},
        });
        let mut changes = document.patch(&patch).expect("it applies");
        changes.sort();
        assert_eq!(
            changes,
            [
                Change::Added(
                    "deadlines.upcoming[c]".to_owned(),
                    r#"{"days_remaining":1,"deadline_id":"c"}"#.to_owned()
                ),
                Change::Changed("deadlines.upcoming[b].days_remaining".to_owned(), "9".to_owned()),
                Change::Removed("economic".to_owned()),
            ]
        );
        assert!(document.patch(&json!({"operations": [{"op": "remove", "path": "/economic"}]})).is_err());
    }
}
