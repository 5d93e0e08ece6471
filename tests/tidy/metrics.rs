//! Metrics: each is defined once, and the documentation and the contract agree with the code.

use std::collections::BTreeSet;

use crate::{none, tree};

/// The metrics of the contract, with their labels.
const CONTRACT: &[(&str, &[&str])] = &[
    ("profile_http_requests_total", &["route", "method", "status"]),
    ("profile_http_request_duration_seconds", &["route"]),
    ("profile_feed_events_total", &["source", "status"]),
    ("profile_assembly_duration_seconds", &["stage"]),
    ("profile_commit_group_size", &[]),
    ("profile_commit_duration_seconds", &[]),
    ("profile_actors_live", &[]),
    ("profile_actors_hydrated_total", &[]),
    ("profile_actors_passivated_total", &[]),
    ("profile_mailbox_rejected_total", &[]),
    ("profile_cache_requests_total", &["layer", "result"]),
    ("profile_live_connections", &[]),
    ("profile_live_frames_total", &["kind"]),
    ("profile_live_coalesced_total", &[]),
    ("profile_patch_bytes", &[]),
    ("profile_freshness_seconds", &[]),
    ("profile_completeness_pct", &[]),
    ("profile_snapshots_total", &[]),
    ("profile_store_bytes", &["tree"]),
    ("profile_export_rows_total", &["backend"]),
    ("profile_audit_entries_total", &["category"]),
    ("profile_rate_limited_total", &["class"]),
    ("profile_redactions_total", &["kind"]),
    ("profile_source_circuit_state", &["source"]),
];

/// The metrics of the contract for parts that are not built yet, each with the missing part.
const FUTURE: &[(&str, &str)] =
    &[("profile_source_circuit_state", "sources are not called yet, so none has a circuit")];

const PAGE: &str = "docs/metrics.md";

/// One row of the page: name, type, unit, labels.
struct Row {
    name: String,
    kind: String,
    unit: String,
    labels: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = profile_server::metrics_page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |line: &str| {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        let mut next = || cells.next().expect("a cell");
        let (name, kind, unit, labels) = (next(), next(), next(), next());
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        Row { name, kind, unit, labels: labels.filter(|label| !label.is_empty()).collect() }
    };
    rows.map(row).collect()
}

#[test]
fn the_page_of_metrics_is_the_one_that_the_source_gives() {
    let (path, page) = (tree::root().join(PAGE), profile_server::metrics_page());
    if config::process_environment().iter().any(|(name, _)| name == "UPDATE") {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{PAGE} is out of date: run `UPDATE=1 cargo test --workspace --test tidy metrics`");
}

#[test]
fn the_names_of_metrics_say_their_unit_and_agree_with_the_contract() {
    let mut findings = Vec::new();
    let mut names = BTreeSet::new();
    for row in rows() {
        let Row { name, kind, unit, labels } = &row;
        if !names.insert(name.clone()) {
            findings.push(format!("`{name}` is defined twice"));
        }
        if !name.starts_with("profile_") || (kind == "counter") != name.ends_with("_total") {
            findings
                .push(format!("`{name}` must start with `profile_`, and end with `_total` if and only if it counts"));
        }
        let ending = match unit.as_str() {
            "percent" => "_pct",
            "" => "",
            unit => &format!("_{unit}"),
        };
        if !name.trim_end_matches("_total").ends_with(ending) {
            findings.push(format!("`{name}` must end with `{ending}`, its unit"));
        }
        if CONTRACT.iter().any(|(other, wanted)| other == name && wanted != labels) {
            findings.push(format!("`{name}` has other labels than the contract's"));
        }
    }
    for (name, reason) in FUTURE {
        if !CONTRACT.iter().any(|(other, _)| other == name) {
            findings.push(format!("`{name}` is listed as future, and is not in the contract"));
        }
        if names.contains(*name) {
            findings.push(format!("`{name}` exists: take it out of `FUTURE`, where it says \"{reason}\""));
        }
    }
    for (name, _) in CONTRACT {
        if !names.contains(*name) && !FUTURE.iter().any(|(other, _)| other == name) {
            findings.push(format!("`{name}` is in the contract, and is not recorded"));
        }
    }
    assert!(names.len() > 20, "only {} metrics were found", names.len());
    none(findings);
}

#[test]
fn a_metric_is_registered_and_named_in_one_file_by_its_table() {
    const MACROS: &[&str] = &["counter!", "gauge!", "histogram!"];
    let files = tree::rust_files();
    let is_product = |path: &str| !path.split('/').any(|part| matches!(part, "tests" | "examples"));
    let product: Vec<_> = files.iter().filter(|file| is_product(&file.path)).collect();
    let mut findings = Vec::new();
    for file in &product {
        for name in MACROS {
            let calls = file.text.match_indices(name).map(|(at, _)| &file.text[at + name.len()..]);
            let by_text = |call: &str| call.trim_start_matches(['(', '{', '[']).trim_start().starts_with('"');
            if calls.into_iter().any(by_text) {
                findings.push(format!("{} calls `{name}` with text: add a line to `metric_table!`", file.path));
            }
        }
    }
    for Row { name, .. } in rows() {
        let (quoted, is_metrics) = (format!("\"{name}\""), |text: &str| text.contains("metric_table!"));
        let places: Vec<_> =
            product.iter().filter(|file| file.text.contains(&quoted) && is_metrics(&file.text)).collect();
        if places.len() != 1 || places[0].text.matches(&quoted).count() != 1 {
            findings.push(format!(
                "`{name}` must be defined exactly once, and is in {:?}",
                places.iter().map(|file| &file.path).collect::<Vec<_>>()
            ));
        }
    }
    none(findings);
}
