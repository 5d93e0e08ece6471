//! Snapshots as JSON.

use actors::snapshots::SnapshotDetails;
use domain::day::format_instant;
use domain::schema_version::SchemaVersion;
use serde_json::{Map, Value, json};

/// Returns a snapshot as JSON. Members that the caller may not see are absent.
pub(in crate::http) fn snapshot(details: &SnapshotDetails) -> Value {
    let mut object = json!({
        "snapshot_id": details.id.to_string(),
        "revision": details.revision,
        "schema_version": SchemaVersion::CANONICAL.name(),
        "profile_hash": details.profile_hash,
        "assembly_latency_ms": number(&details.assembly_latency_ms),
        "created_at": format_instant(details.created_at),
        "expires_at": format_instant(details.expires_at),
        "trigger": details.trigger.name(),
    });
    if let Some(pct) = &details.completeness_pct {
        object["completeness_pct"] = number(pct);
    }
    if !details.source_versions.is_empty() {
        let versions = details.source_versions.iter();
        let versions: Map<_, _> =
            versions.map(|(source, stamp)| (source.name().to_owned(), json!(format_instant(*stamp)))).collect();
        object["source_versions"] = Value::Object(versions);
    }
    object
}

/// Returns a number that is in canonical JSON.
fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
