//! `?include=provenance`: the member `_provenance` of a profile.

use domain::day::format_instant;
use domain::pipeline::explain::Provenance;
use domain::scan;
use domain::schema_version::SchemaVersion;
use serde_json::{Map, Value, json};

use crate::json_text;

/// Returns a document of a schema version with the member `_provenance`, in its place among the members in canonical order.
pub(in crate::http) fn with_provenance(document: &[u8], provenance: &[Provenance], schema: SchemaVersion) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap_or("{}");
    // `_meta` is the only member that comes before it.
    let meta = scan::members(text).next().filter(|(name, _)| *name == "_meta").map(|(_, value)| value);
    let after = meta.map_or(1, |value| value.as_ptr() as usize - text.as_ptr() as usize + value.len() + 1);
    let mut out = Vec::with_capacity(document.len() + 128 * provenance.len() + 32);
    out.extend_from_slice(&document[..after]);
    out.extend_from_slice(b"\"_provenance\":");
    out.extend_from_slice(&json_text::to_bytes(&by_path(provenance, schema)));
    out.push(b',');
    out.extend_from_slice(&document[after..]);
    out
}

fn by_path(provenance: &[Provenance], schema: SchemaVersion) -> Map<String, Value> {
    let entry = |of: &Provenance| {
        json!({
            "source": of.source.name(),
            "kind": of.kind.name(),
            "observed_at": format_instant(of.observed_at),
            "event_id": of.event_id.as_str(),
            "overrides": of.overrides,
        })
    };
    provenance.iter().filter_map(|of| Some((schema.path(of.leaf)?.to_owned(), entry(of)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_stands_where_the_canonical_order_has_it() {
        let with = |document: &str| {
            String::from_utf8(with_provenance(document.as_bytes(), &[], SchemaVersion::NEWEST)).expect("text")
        };
        assert_eq!(with(r#"{"a":1,"b":{}}"#), r#"{"_provenance":{},"a":1,"b":{}}"#);
        let sparse = with(r#"{"_meta":{"x":["}"]},"a":1}"#);
        assert_eq!(sparse, r#"{"_meta":{"x":["}"]},"_provenance":{},"a":1}"#);
    }
}
