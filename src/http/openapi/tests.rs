//! The description is whole: whoever adds a route is told here what its row leaves out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::components::{self, referenced};
use super::{derived, document};
use crate::http::operation::BodySize;
use crate::http::request::parameter;
use crate::http::route::{Access, Route};
use crate::http::routes::{admin, public};

fn rows() -> Vec<&'static Route> {
    public().chain(admin()).collect()
}

fn documents() -> [Value; 2] {
    [document::document("", public()), document::document("", admin())]
}

#[test]
fn every_declared_parameter_is_listed_by_a_row_and_has_a_schema() {
    for parameter in parameter::ALL {
        let is_listed =
            rows().iter().any(|row| row.operation.query.iter().any(|listed| std::ptr::eq(*listed, *parameter)));
        assert!(is_listed, "no row lists `{}` in its `operation`: {}", parameter.name, parameter.description);
        assert!(
            serde_json::from_str::<Value>(parameter.schema).is_ok_and(|schema| schema.is_object()),
            "{parameter:?}"
        );
    }
}

#[test]
fn a_row_lists_its_parameters_once_and_those_that_decide_on_its_requirements() {
    for row in rows() {
        let names: Vec<_> = row.operation.query.iter().map(|parameter| parameter.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{}: {names:?}", row.path);
        if let Access::Callers(requirements, _) = &row.access {
            for by in requirements.by_query {
                assert!(names.contains(&by.parameter.name), "{}: `{}` is missing", row.path, by.parameter.name);
            }
        }
    }
}

#[test]
fn every_placeholder_of_a_path_is_described() {
    for row in rows() {
        for name in derived::placeholders(row.path) {
            let (description, _) = derived::placeholder(row.path, name);
            assert!(!description.is_empty(), "say in `derived::placeholder` what `{name}` of {} is", row.path);
        }
    }
}

#[test]
fn a_row_with_a_body_has_methods_with_one_and_a_bound() {
    for row in rows() {
        let Some(body) = &row.operation.body else { continue };
        assert!(!row.methods.iter().any(derived::is_read) && !body.content.is_empty(), "{}", row.path);
        assert!(!matches!(body.size, BodySize::Bytes(0)), "{}", row.path);
    }
}

#[test]
fn operations_have_names_of_their_own() {
    for rows in [public().collect::<Vec<_>>(), admin().collect()] {
        let of_row = |row: &&'static Route| {
            let row = *row;
            row.methods.iter().map(move |method| document::operation_id(row, method)).collect::<Vec<_>>()
        };
        let names: Vec<_> = rows.iter().flat_map(of_row).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

#[test]
fn every_reference_leads_to_a_component_and_every_component_is_used() {
    let mut unused: BTreeSet<_> = components::all(serde_json::Map::new())
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(kind, _)| *kind != "securitySchemes")
        .flat_map(|(kind, of_kind)| {
            let names = of_kind.as_object().expect("an object").keys();
            names.map(|name| (kind.clone(), name.clone())).collect::<Vec<_>>()
        })
        .collect();
    for document in documents() {
        for (kind, name) in referenced(&document) {
            assert!(document["components"][&kind][&name].is_object(), "`components.json` has no {kind} `{name}`");
            unused.remove(&(kind, name));
        }
    }
    assert!(unused.is_empty(), "`components.json` has what no row uses: {unused:?}");
}
