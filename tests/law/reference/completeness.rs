//! Completeness: the weight of what is there against the weight of what could be.

use serde_json::{Map, Value};

const CRITICAL: u32 = 3;
const OPTIONAL: u32 = 2;
const NICE_TO_HAVE: u32 = 1;

const WEIGHTS: [(&str, &str, u32); 23] = [
    ("identity", "display_name", CRITICAL),
    ("identity", "age_bracket", CRITICAL),
    ("identity", "gender", OPTIONAL),
    ("identity", "category", CRITICAL),
    ("identity", "verified_documents", CRITICAL),
    ("demographics", "state", CRITICAL),
    ("demographics", "district", CRITICAL),
    ("demographics", "urban_rural", OPTIONAL),
    ("demographics", "pincode", OPTIONAL),
    ("demographics", "residency_years", NICE_TO_HAVE),
    ("economic", "income_bracket", CRITICAL),
    ("economic", "employment_type", CRITICAL),
    ("economic", "tax_regime", NICE_TO_HAVE),
    ("economic", "bpl_status", CRITICAL),
    ("economic", "ration_card_type", OPTIONAL),
    ("family", "marital_status", OPTIONAL),
    ("family", "dependents", OPTIONAL),
    ("family", "members_count", OPTIONAL),
    ("family", "senior_citizen_dependents", NICE_TO_HAVE),
    ("family", "children_school_age", NICE_TO_HAVE),
    ("consent", "data_sharing_level", CRITICAL),
    ("consent", "analytics_opt_in", CRITICAL),
    ("consent", "third_party_sharing", OPTIONAL),
];

/// The share of applicable weight that is present, in whole per cent, rounded half up.
pub(crate) fn percentage(profile: &Map<String, Value>) -> u32 {
    let leaf = |section: &str, leaf: &str| profile.get(section).and_then(|section| section.get(leaf));
    let (mut present, mut applicable) = (0, 0);
    for (section, name, weight) in WEIGHTS {
        if applies(profile, section, name) {
            applicable += weight;
            present += if leaf(section, name).is_some() { weight } else { 0 };
        }
    }
    (200 * present + applicable) / (2 * applicable)
}

/// The rules of `config/completeness.toml`.
fn applies(profile: &Map<String, Value>, section: &str, leaf: &str) -> bool {
    let value = |section: &str, leaf: &str| profile.get(section).and_then(|section| section.get(leaf));
    match (section, leaf) {
        ("economic", "tax_regime") => value("economic", "employment_type") != Some(&Value::from("unemployed")),
        _ => true,
    }
}
