//! What a viewer may hold, by the table of the contract and not the server's.

use domain::access::Viewer;
use serde_json::Value;

const ENVELOPE: [&str; 6] =
    ["schema_version", "profile_id", "revision", "generated_at", "assembly_latency_ms", "profile_hash"];
const MINIMAL: [&str; 2] = ["demographics.state", "identity.age_bracket"];
const STANDARD: [&str; 6] = [
    "demographics.district",
    "economic.income_bracket",
    "family.members_count",
    "identity.gender",
    "identity.category",
    "eligibility.*",
];
const FULL: [&str; 5] =
    ["economic.employment_type", "deadlines.*", "risk_scores.*", "profile_completeness_pct", "cohort_tags"];
const AI_STANDARD: [&str; 2] = ["predictions.*", "trust.*"];
const AI_FULL: [&str; 2] = ["economic.*", "family.*"];

/// Returns the first path of `held` that the viewer may not hold at the consent in `own`, the citizen's whole profile.
pub(super) fn forbidden_path(viewer: &Viewer, own: &Value, held: &Value) -> Option<String> {
    let paths = paths(held);
    match viewer {
        Viewer::SelfCitizen(_) | Viewer::Admin { .. } => None,
        Viewer::Agent { sections, .. } => {
            let names: Vec<_> = sections.members().map(|member| member.name()).collect();
            paths.into_iter().find(|path| !names.contains(&path.split('.').next().unwrap_or_default()))
        }
        Viewer::Service { third_party, .. } if *third_party && own["consent"]["third_party_sharing"] != true => {
            Some("anything at all".to_owned())
        }
        Viewer::Service { ai_context, .. } => {
            let level = own["consent"]["data_sharing_level"].as_str().unwrap_or("minimal");
            let mut allowed = MINIMAL.to_vec();
            if level != "minimal" {
                allowed.extend(STANDARD);
                allowed.extend(ai_context.then_some(AI_STANDARD).into_iter().flatten());
            }
            if level == "full" {
                allowed.extend(FULL);
                allowed.extend(ai_context.then_some(AI_FULL).into_iter().flatten());
            }
            paths.into_iter().find(|path| !allowed.iter().any(|pattern| matches(pattern, path)))
        }
        Viewer::Auditor => Some("an auditor holds nothing".to_owned()),
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(section) => path.split('.').next() == Some(section),
        None => pattern == path,
    }
}

/// Returns the members of a document outside its envelope: `member`, or `section.name`.
fn paths(document: &Value) -> Vec<String> {
    let members = document.as_object().into_iter().flatten();
    let outside = members.filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
    outside
        .flat_map(|(name, value)| match value.as_object() {
            Some(section) => section.keys().map(|leaf| format!("{name}.{leaf}")).collect(),
            None => vec![name.clone()],
        })
        .collect()
}
