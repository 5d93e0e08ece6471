//! The profile's JSON Schema (2020-12), made from the field table, so that the two cannot differ.

use serde_json::{Map, Value, json};

use crate::event::shape::{DEADLINE, Item, Presence, Shape};
use crate::name_table::{LeafName, NameTable, Projection};
use crate::rules::Limits;
use crate::schema_version::SchemaVersion;
use crate::source::Source;
use crate::table::{Class, Field, Leaf, LeafSet, Owner, ValueType};

/// Deadlines that either list shows at most.
const SHOWN_DEADLINES: usize = 256;

/// Returns the JSON Schema of a version of the profile.
///
/// Only the envelope is required: a view holds what its viewer may see. `x-owner` and `x-class` name who writes a
/// field and how sensitive it is; `readOnly` marks what the server derives. Limits are the defaults.
pub fn profile_schema(version: SchemaVersion) -> Value {
    schema_in(version.table())
}

/// Returns the JSON Schema of documents with the names of a version.
pub(crate) fn schema_in(table: &NameTable) -> Value {
    let limits = Limits::default();
    let mut properties = envelope(table);
    let required: Vec<_> = properties.keys().cloned().collect();
    for member in table.members(LeafSet::ALL) {
        let leaves = member.ordered.iter().filter_map(|leaf| Some((*leaf, table.name(*leaf)?)));
        let mut leaves = leaves.map(|(leaf, name)| (name.name.to_owned(), leaf_schema(leaf, name, &limits)));
        let schema = if member.is_leaf { leaves.next().map(|(_, schema)| schema) } else { Some(section(leaves)) };
        properties.extend(schema.map(|schema| (member.name.to_owned(), schema)));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:civic-profile:schema:{}", table.version),
        "title": "Civic profile",
        "type": "object",
        "properties": properties,
        "patternProperties": {"^_": {"description": "What an answer adds to the profile, as `_meta`."}},
        "required": required,
        "additionalProperties": false,
    })
}

/// Returns the schema of the members that no mask hides.
fn envelope(table: &NameTable) -> Map<String, Value> {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
    let members = [
        ("schema_version", json!({"const": table.version})),
        ("profile_id", json!({"type": "string", "pattern": format!("^prof_{uuid}$")})),
        ("revision", json!({"type": "integer", "minimum": 1})),
        ("generated_at", instant()),
        ("assembly_latency_ms", json!({"type": "number", "minimum": 0})),
        ("profile_hash", json!({"type": "string", "pattern": "^[0-9a-f]{64}$"})),
    ];
    let members = members.into_iter().filter(|(name, _)| table.has_revision || *name != "revision");
    members.map(|(name, schema)| (name.to_owned(), read_only(schema))).collect()
}

fn section(leaves: impl Iterator<Item = (String, Value)>) -> Value {
    let properties: Map<_, _> = leaves.collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Returns the schema of what a version shows of a leaf.
fn leaf_schema(leaf: Leaf, name: &LeafName, limits: &Limits) -> Value {
    let mut schema = field_schema(leaf.field(), limits);
    if let Projection::ItemMembers(shown) = name.projection {
        let item = &mut schema["items"];
        if let Some(properties) = item["properties"].as_object_mut() {
            properties.retain(|name, _| shown.contains(&name.as_str()));
        }
        if let Some(required) = item["required"].as_array_mut() {
            required.retain(|name| name.as_str().is_some_and(|name| shown.contains(&name)));
        }
    }
    schema
}

fn field_schema(field: &Field, limits: &Limits) -> Value {
    let mut schema = match (field.value, Shape::for_leaf(field.leaf)) {
        (_, Some(shape)) => shape_schema(shape, limits),
        (ValueType::Deadlines, None) => {
            let item = item_schema(&DEADLINE, limits);
            json!({"type": "array", "items": item, "maxItems": SHOWN_DEADLINES})
        }
        (ValueType::Percent, None) => json!({"type": "integer", "minimum": 0, "maximum": 100}),
        (ValueType::Hours, None) => json!({"type": "number", "minimum": 0}),
        (ValueType::Instant, None) => instant(),
        (_, None) => json!({"type": "integer", "minimum": 0}),
    };
    if field.owner == Owner::Derived {
        schema = read_only(schema);
    }
    schema["x-owner"] = match field.owner {
        Owner::Source(source) => json!(source.name()),
        Owner::Shared => json!("shared"),
        Owner::Derived => json!("derived"),
    };
    schema["x-class"] = match field.class {
        Class::General => json!("G"),
        Class::Sensitive => json!("Y"),
    };
    schema
}

fn shape_schema(shape: Shape, limits: &Limits) -> Value {
    match shape {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Fraction => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::Token => pattern("^tok_[A-Za-z0-9_-]{1,124}$"),
        Shape::DisplayName => {
            json!({"type": "string", "pattern": "^[^ ]+ [^ ]+\\.$", "maxLength": 64, "examples": ["Rajesh K."]})
        }
        Shape::State | Shape::Slug => {
            json!({"type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": limits.string_chars})
        }
        Shape::Pincode => pattern("^[1-9][0-9]{5}$"),
        Shape::ItemId => pattern(&format!("^[A-Za-z0-9_.:-]{{1,{}}}$", limits.id_chars)),
        Shape::Date => json!({"type": "string", "format": "date"}),
        Shape::Path => json!({"type": "string", "pattern": "^/([^/]|$)", "maxLength": limits.string_chars}),
        Shape::Text(limit) => text(limit(limits)),
        Shape::WordSet(words) => {
            json!({"type": "array", "items": {"type": "string", "enum": words}, "uniqueItems": true})
        }
        Shape::TextSet(limit) => {
            json!({
                "type": "array", "items": text(limits.string_chars), "maxItems": limit(limits), "uniqueItems": true,
            })
        }
        Shape::RuleNames(limit) => {
            json!({"type": "array", "items": text(limits.id_chars), "maxItems": limit(limits)})
        }
        Shape::ItemIds(limit) => {
            json!({"type": "array", "items": shape_schema(Shape::ItemId, limits), "maxItems": limit(limits)})
        }
        Shape::Items(item, count, bytes) => json!({
            "type": "array",
            "items": item_schema(item, limits),
            "maxItems": count(limits),
            "x-max-canonical-bytes": bytes(limits),
        }),
        Shape::SourceTrace => {
            let date = "(verified|synced|computed)_[0-9]{4}-[0-9]{2}-[0-9]{2}";
            json!({
                "type": "object",
                "propertyNames": {"enum": Source::ALL.map(Source::name)},
                "additionalProperties": pattern(&format!("^{date}$")),
            })
        }
        // These two are stored beside the profile.
        Shape::SourceConfidence | Shape::Metrics => json!({"type": "object"}),
    }
}

fn item_schema(item: &Item, limits: &Limits) -> Value {
    let mut properties = Map::new();
    for member in item.members {
        let schema = shape_schema(member.shape, limits);
        let schema = if member.presence == Presence::Derived { read_only(schema) } else { schema };
        properties.insert(member.name.to_owned(), schema);
    }
    let required = item.members.iter().filter(|member| member.presence != Presence::Optional);
    let required: Vec<_> = required.map(|member| member.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn text(chars: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": chars})
}

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn instant() -> Value {
    json!({"type": "string", "format": "date-time", "pattern": "Z$"})
}

fn read_only(mut schema: Value) -> Value {
    schema["readOnly"] = json!(true);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::shape::SCHEME;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/schema");

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test has no settings to ask whether to rewrite its golden file")]
    fn the_schema_in_config_is_the_field_tables() {
        for version in SchemaVersion::ALL {
            let (path, schema) = (format!("{GOLDEN}/profile-{}.json", version.name()), profile_schema(*version));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
                std::fs::write(&path, text).expect("the file can be written");
            }
            let golden = std::fs::read_to_string(&path).expect("the file is there");
            let golden: Value = serde_json::from_str(&golden).expect("JSON");
            assert_eq!(golden, schema, "run the test with UPDATE_GOLDEN=1 and look at the difference");
        }
    }

    #[test]
    fn every_field_has_its_place_in_the_schemas() {
        for version in SchemaVersion::ALL {
            let schema = profile_schema(*version);
            for field in &crate::table::FIELDS {
                let Some(path) = version.path(field.leaf) else { continue };
                let pointer = format!("/properties/{}", path.replace('.', "/properties/"));
                let place = schema.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
                assert_eq!(place.get("readOnly").is_some(), field.owner == Owner::Derived, "{pointer}");
                assert!(place.get("type").is_some(), "{pointer}");
            }
        }
    }

    #[test]
    fn what_an_item_must_have_is_what_the_version_shows_of_it() {
        let required = |version| {
            let items = "/properties/eligibility/properties/eligible_schemes/items/required";
            let schema = profile_schema(version);
            schema.pointer(items).and_then(Value::as_array).expect("a list").len()
        };
        assert_eq!(required(SchemaVersion::V2_0), SCHEME.members.len() - 2);
        assert_eq!(required(SchemaVersion::V1_0), 3);
        assert_eq!(profile_schema(SchemaVersion::V1_0)["properties"]["upcoming_deadlines"]["type"], "array");
    }
}
