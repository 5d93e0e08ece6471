//! The beginning of the document: what is held now.

use actors::reading::{Documents, HeldValue, ViewWithProvenance};
use domain::day::format_instant;
use domain::id::UserId;
use domain::pipeline::explain::Provenance;
use domain::schema_version::SchemaVersion;
use serde_json::{Map, Value, json};

use super::sections::omitted;
use crate::http::request::caller::Caller;
use crate::json_text;

/// Returns the document up to the first section that is read piece by piece, without the comma before it.
pub(super) fn render(
    user: &UserId,
    now_micros: i64,
    caller: &Caller,
    found: &ViewWithProvenance,
    documents: &Documents,
) -> Vec<u8> {
    let head = json!({
        "$schema": "/api/v2/schemas/export-data",
        "format": "civic-profile-export-data/1",
        "exported_at": format_instant(now_micros),
        "user_id": user.as_str(),
        "omitted": omitted(caller),
        "provenance": by_path(&found.provenance),
        "source_documents": by_source(documents),
    });
    let mut out = vec![b'{'];
    out.extend_from_slice(json_text::members(&head).as_bytes());
    // The profile stands as its bytes are, in canonical form.
    out.extend_from_slice(b",\"profile\":");
    out.extend_from_slice(&found.view.body);
    out
}

fn by_path(provenance: &[Provenance]) -> Map<String, Value> {
    let entry = |of: &Provenance| {
        json!({
            "source": of.source.name(),
            "kind": of.kind.name(),
            "observed_at": format_instant(of.observed_at),
            "event_id": of.event_id.as_str(),
            "overrides": of.overrides,
        })
    };
    let path = |of: &Provenance| SchemaVersion::CANONICAL.path(of.leaf);
    provenance.iter().filter_map(|of| Some((path(of)?.to_owned(), entry(of)))).collect()
}

fn by_source(documents: &Documents) -> Map<String, Value> {
    let list = |values: &[HeldValue]| values.iter().map(held).collect::<Vec<Value>>();
    documents.sources.iter().map(|(source, values)| (source.name().to_owned(), json!(list(values)))).collect()
}

fn held(held: &HeldValue) -> Value {
    let HeldValue { path, item, kind, observed_at, event_id, value } = held;
    // Values are canonical JSON.
    let parsed = value.as_ref().and_then(|value| serde_json::from_str::<Value>(value.as_str()).ok());
    let mut entry = json!({
        "path": path,
        "kind": kind,
        "observed_at": format_instant(*observed_at),
        "event_id": event_id,
        "withdrawn": value.is_none(),
        "value": parsed,
    });
    if let Some(item) = item {
        entry["item"] = json!(item);
    }
    entry
}
