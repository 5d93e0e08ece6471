//! Completeness: the weight of the leaves that are present, divided by the weight of those that apply.

use serde_json::{Map, Value, json};

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

/// Returns the share of applicable weight that is present, in whole per cent, rounded half up.
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

/// Returns whether a leaf applies to a citizen, by the default rules.
fn applies(profile: &Map<String, Value>, section: &str, leaf: &str) -> bool {
    let is = |section: &str, leaf: &str, value: Value| {
        profile.get(section).and_then(|section| section.get(leaf)).is_some_and(|found| *found == value)
    };
    let no_income_of_their_own = || {
        is("economic", "employment_type", json!("unemployed")) || is("economic", "employment_type", json!("student"))
    };
    let under_18 = || is("identity", "age_bracket", json!("0-17"));
    match (section, leaf) {
        ("economic", "tax_regime") => !no_income_of_their_own() && !under_18(),
        ("family", "marital_status") => !under_18(),
        ("family", "children_school_age" | "senior_citizen_dependents") => !is("family", "dependents", json!(0)),
        _ => true,
    }
}
