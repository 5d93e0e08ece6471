//! Checks that all dependencies and allowed edges are still needed.

use std::collections::BTreeSet;

use crate::code::{self, mentions};
use crate::edges::{EDGES, ROOT};
use crate::manifest::{self, Member};
use crate::{none, tree};

/// Allowed edges that no crate uses yet, each with the reason.
const FUTURE_EDGES: &[(&str, &str, &str)] = &[
    ("adapters", "domain", "the crate of adapters to other systems is not there yet"),
    (ROOT, "adapters", "the crate of adapters to other systems is not there yet"),
];

/// Dependencies that no source file names, each with the reason.
const UNNAMED: &[(&str, &str, &str)] =
    &[("store", "aes", "its feature `zeroize` wipes key schedules, which `aes-gcm-siv` does not ask for")];

#[test]
fn every_edge_that_is_allowed_is_needed() {
    let members = manifest::members();
    let uses = |from: &str, to: &str| {
        let member = members.iter().find(|member| member.name == from);
        member.is_some_and(|member| member.normal.iter().chain(&member.build).any(|name| name == to))
    };
    let is_future = |from: &str, to: &str| FUTURE_EDGES.iter().any(|(a, b, _)| (*a, *b) == (from, to));
    let allowed = || EDGES.iter().flat_map(|(from, all)| all.iter().map(move |to| (*from, *to)));
    let mut findings = Vec::new();
    for (from, to) in allowed() {
        match (uses(from, to), is_future(from, to)) {
            (false, false) => findings.push(format!("{from} -> {to} is allowed, and no manifest uses it")),
            (true, true) => findings.push(format!("{from} -> {to} is used now: remove it from FUTURE_EDGES")),
            _ => {}
        }
    }
    let unknown = FUTURE_EDGES.iter().filter(|(from, to, _)| !allowed().any(|edge| edge == (*from, *to)));
    findings.extend(
        unknown.map(|(from, to, _)| format!("{from} -> {to} is in FUTURE_EDGES, but not in the table of edges")),
    );
    none(findings);
}

#[test]
fn every_dependency_is_named_by_the_sources() {
    let members = manifest::members();
    let sources = code::all();
    let stripped = |file: tree::File| (file.path, code::without_comments_and_literals(&file.text));
    let files: Vec<(String, String)> = tree::rust_files().into_iter().map(stripped).collect();
    let mut findings = Vec::new();
    for member in &members {
        let is_own = |path: &str| is_of(member, &members, path);
        // A normal dependency must be used by the product, others by tests, which may be inside a source file.
        let product = sources.iter().filter(|file| !file.is_test && is_own(&file.path));
        let product: Vec<&str> = product.map(|file| file.code.as_str()).collect();
        let all = files.iter().filter(|(path, _)| is_own(path));
        let all: Vec<&str> = all.map(|(_, code)| code.as_str()).collect();
        let table = manifest::table(member);
        for (kind, places) in [("dependencies", &product), ("dev-dependencies", &all), ("build-dependencies", &all)] {
            let dependencies = table.get(kind).and_then(toml::Value::as_table);
            let names: BTreeSet<&str> = dependencies.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            for name in &names {
                let is_named = places.iter().any(|code| mentions(code, &name.replace('-', "_")));
                let is_excused = UNNAMED.iter().any(|(user, other, _)| (*user, other) == (member.name.as_str(), name));
                match (is_named, is_excused) {
                    (false, false) => findings.push(format!("`{}` does not use its {kind} `{name}`", member.name)),
                    (true, true) => findings.push(format!("`{}` uses `{name}`: remove the exception", member.name)),
                    _ => {}
                }
                if kind == "dev-dependencies" && member.normal.iter().any(|normal| normal == name) {
                    findings.push(format!("`{}` lists `{name}` twice", member.name));
                }
            }
        }
    }
    none(findings);
}

/// Returns whether the file belongs to the member and not to a member inside it.
fn is_of(member: &Member, members: &[Member], path: &str) -> bool {
    let is_within = |folder: &str| path.starts_with(&format!("{folder}/"));
    match member.folder.as_str() {
        "" => !members.iter().any(|other| !other.folder.is_empty() && is_within(&other.folder)),
        folder => is_within(folder),
    }
}
