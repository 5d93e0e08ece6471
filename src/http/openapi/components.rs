//! The components of the document: those of `components.json`, the schemas that the domain has already, and the answers with
//! problems.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use domain::event::{EventProblem, FeedEventType};
use domain::publication::PublishedEventType;
use domain::schema::profile_schema;
use domain::schema_version::SchemaVersion;
use domain::source::Source;
use serde_json::{Map, Value, json};

use crate::http::export_data;
use crate::http::problem::Code;

/// The components that are written by hand.
static WRITTEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("components.json")).unwrap_or_default());

/// Returns all components, with these answers.
pub(super) fn all(responses: Map<String, Value>) -> Value {
    let mut components = WRITTEN.clone();
    components["responses"] = Value::Object(responses);
    let schemas = &mut components["schemas"];
    schemas["Source"] = names(&Source::ALL.map(Source::name));
    schemas["FeedEventType"] = names(&FeedEventType::ALL.map(FeedEventType::name));
    schemas["PublishedEventType"] = names(&PublishedEventType::ALL.map(PublishedEventType::name));
    let versions: Vec<_> = SchemaVersion::ALL.iter().map(|version| version.name()).collect();
    schemas["SchemaVersion"] = names(&versions);
    schemas["SchemaVersion"]["default"] = SchemaVersion::NEWEST.name().into();
    let profile = |name: &&str| reference("schemas", &format!("Profile-{name}"));
    schemas["Profile"] = json!({ "anyOf": versions.iter().map(profile).collect::<Vec<_>>() });
    for version in SchemaVersion::ALL {
        let mut schema = within_document(profile_schema(*version), "");
        if version.deprecation().is_some() {
            schema["deprecated"] = true.into();
        }
        schemas[format!("Profile-{}", version.name())] = schema;
    }
    let export_data = serde_json::from_str(export_data::SCHEMA).unwrap_or_default();
    schemas["ExportData"] = within_document(export_data, "#/components/schemas/ExportData");
    let of_http = Code::ALL.iter().map(|code| code.name());
    let codes = of_http.chain(EventProblem::ALL.map(EventProblem::name));
    schemas["Problem"]["properties"]["type"] = json!({ "enum": codes.map(problem_type).collect::<Vec<_>>() });
    components
}

/// Returns the `type` of a problem.
pub(super) fn problem_type(name: &str) -> String {
    format!("/problems/{name}")
}

/// Returns a reference to a component.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn names(names: &[&str]) -> Value {
    json!({ "type": "string", "enum": names })
}

/// Returns a schema that stands by itself as a part of the document, in which its own references begin at `place`.
fn within_document(mut schema: Value, place: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("$id");
        object.remove("$schema");
    }
    rebase(&mut schema, place);
    schema
}

fn rebase(value: &mut Value, place: &str) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(rest) = target.strip_prefix('#')
            {
                *target = format!("{place}{rest}");
            }
            object.values_mut().for_each(|value| rebase(value, place));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| rebase(value, place)),
        _ => {}
    }
}

/// Removes the components that nothing leads to. `roots` is what refers to components besides themselves.
pub(super) fn keep_used(components: &mut Value, roots: &Value) {
    let (mut used, mut next) = (BTreeSet::new(), referenced(roots));
    while let Some((kind, name)) = next.pop() {
        if !used.contains(&(kind.clone(), name.clone())) {
            next.extend(referenced(&components[&kind][&name]));
            used.insert((kind, name));
        }
    }
    for (kind, components) in components.as_object_mut().into_iter().flatten() {
        // Those are referred to by their names alone.
        if let Some(components) = components.as_object_mut().filter(|_| kind != "securitySchemes") {
            components.retain(|name, _| used.contains(&(kind.clone(), name.clone())));
        }
    }
}

/// Returns the kinds and names of the components that a value refers to.
pub(super) fn referenced(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str).and_then(|target| {
                let mut steps = target.strip_prefix("#/components/")?.split('/');
                Some((steps.next()?.to_owned(), steps.next()?.to_owned()))
            });
            own.into_iter().chain(object.values().flat_map(referenced)).collect()
        }
        Value::Array(items) => items.iter().flat_map(referenced).collect(),
        _ => Vec::new(),
    }
}
