//! The migration between versions 1.0 and 2.0.

use serde_json::{Map, Value};

use super::{Document, Migration};
use crate::schema_version::SchemaVersion;

pub(super) const MIGRATION: Migration = Migration { older: SchemaVersion::V1_0, newer: SchemaVersion::V2_0, up, down };

/// Members that version 1.0 does not have.
const ADDED: [&str; 5] = ["cohort_tags", "predictions", "revision", "risk_scores", "trust"];
/// What version 1.0 says of a scheme.
const OF_A_SCHEME: [&str; 3] = ["application_status", "scheme_id", "scheme_name"];

fn up(document: &mut Document) {
    if let Some(upcoming) = document.remove("upcoming_deadlines") {
        document.insert("deadlines".to_owned(), Map::from_iter([("upcoming".to_owned(), upcoming)]).into());
    }
}

fn down(document: &mut Document) {
    for name in ADDED {
        document.remove(name);
    }
    if let Some(Value::Object(mut deadlines)) = document.remove("deadlines")
        && let Some(upcoming) = deadlines.remove("upcoming")
    {
        document.insert("upcoming_deadlines".to_owned(), upcoming);
    }
    let eligibility = document.get_mut("eligibility");
    let schemes = eligibility.and_then(|section| section.get_mut("eligible_schemes")).and_then(Value::as_array_mut);
    for scheme in schemes.into_iter().flatten().filter_map(Value::as_object_mut) {
        scheme.retain(|name, _| OF_A_SCHEME.contains(&name.as_str()));
    }
}
