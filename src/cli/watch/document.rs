//! The watched profile, and the differences between two versions of it.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Map, Value};

/// A change of one path, which is printed as one line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// A path that is new, and its value.
    Added(String, String),
    /// A path and its new value.
    Changed(String, String),
    /// A path that was removed.
    Removed(String),
}

/// The profile as of the last frame.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// `None` before the first frame, and while the profile is not visible.
    profile: Option<Value>,
    /// The cursor to continue from after a reconnect.
    pub(super) cursor: Option<String>,
}

/// Members that change with every revision and do not describe the citizen.
const ENVELOPE: [&str; 6] =
    ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"];

impl Document {
    pub(super) fn is_empty(&self) -> bool {
        self.profile.is_none()
    }

    /// Replaces the profile, and returns the differences.
    pub(super) fn replace(&mut self, profile: Value) -> Vec<Change> {
        let before = self.profile.replace(profile);
        differences(before.as_ref(), self.profile.as_ref())
    }

    /// Applies the patch (RFC 6902) and the envelope of a frame, and returns the differences.
    ///
    /// # Errors
    /// There is no profile yet, or the patch does not apply to it.
    pub(super) fn apply_patch(&mut self, frame: &Value) -> anyhow::Result<Vec<Change>> {
        let profile = self.profile.as_mut().context("the server sent a patch before the profile")?;
        let before = profile.clone();
        let operations: json_patch::Patch = serde_json::from_value(frame["operations"].clone())?;
        json_patch::patch(profile, &operations)?;
        for (name, value) in frame["envelope"].as_object().into_iter().flatten() {
            profile[name] = value.clone();
        }
        Ok(differences(Some(&before), Some(profile)))
    }

    /// Forgets the profile and the cursor, after the profile has become invisible.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    changes
}

/// Compares two values recursively. A value that was added or removed is one change, whatever it contains.
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

/// Two lists by the ids of their items, so that an item that only moved is not a change. `None` if an item has no id.
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
    fn a_withdrawal_removes_fields_and_a_moved_item_is_no_change() {
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
        let mut changes = document.apply_patch(&patch).expect("it applies");
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
        assert!(document.apply_patch(&json!({"operations": [{"op": "remove", "path": "/economic"}]})).is_err());
    }
}
