//! A few valid values for each leaf of the field table.

use serde_json::{Value, json};

use crate::random::Random;

pub(super) const IDENTITY_LEAVES: &[&str] =
    &["display_name", "age_bracket", "gender", "category", "verified_documents", "delegation_active"];
pub(super) const CONSENT_LEAVES: &[&str] = &["data_sharing_level", "analytics_opt_in", "third_party_sharing"];
pub(super) const RISK_LEAVES: &[&str] =
    &["deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk"];

/// The leaves that more than one source may write. State and district are drawn twice as often, because they depend on
/// each other.
pub(super) const SHARED_LEAVES: [&str; 17] = [
    "demographics.state",
    "demographics.state",
    "demographics.district",
    "demographics.district",
    "demographics.urban_rural",
    "demographics.pincode",
    "demographics.residency_years",
    "economic.income_bracket",
    "economic.employment_type",
    "economic.tax_regime",
    "economic.bpl_status",
    "economic.ration_card_type",
    "family.marital_status",
    "family.dependents",
    "family.members_count",
    "family.senior_citizen_dependents",
    "family.children_school_age",
];

/// Returns the leaves of a shared section.
pub(super) fn leaves_of(section: &str) -> &'static [&'static str] {
    match section {
        "demographics" => &["state", "district", "urban_rural", "pincode", "residency_years"],
        "economic" => &["income_bracket", "employment_type", "tax_regime", "bpl_status", "ration_card_type"],
        _ => &["marital_status", "dependents", "members_count", "senior_citizen_dependents", "children_school_age"],
    }
}

/// Returns a value that the feed accepts at `path`.
pub(super) fn leaf_value(path: &str, random: &mut Random) -> Value {
    let words: &[&str] = match path {
        "identity.display_name" => &["Rajesh K.", "Asha R."],
        "identity.age_bracket" => &["0-17", "30-40", "60+"],
        "identity.gender" => &["male", "female", "undisclosed"],
        "identity.category" => &["general", "obc", "st"],
        "identity.verified_documents" => return documents(random),
        "demographics.state" => &["karnataka", "maharashtra", "goa"],
        "demographics.district" => &["bengaluru_urban", "mysuru", "pune", "nagpur"],
        "demographics.urban_rural" => &["urban", "rural", "semi_urban"],
        "demographics.pincode" => &["560001", "411001"],
        "economic.income_bracket" => &["0-2.5L", "5L-10L", "20L+"],
        "economic.employment_type" => &["salaried", "unemployed", "student", "pension"],
        "economic.tax_regime" => &["old", "new", "none"],
        "economic.ration_card_type" => &["APL", "AAY", "none"],
        "family.marital_status" => &["single", "married", "widowed"],
        "consent.data_sharing_level" => &["minimal", "standard", "full"],
        "identity.delegation_active"
        | "economic.bpl_status"
        | "consent.analytics_opt_in"
        | "consent.third_party_sharing" => return json!(random.one_in(2)),
        "family.members_count" => return json!(1 + random.below(3)),
        _ if path.starts_with("risk_scores.") => {
            return [json!(-0.0), json!(0.15), json!(0.2), json!(1.0)][random.below(4)].clone();
        }
        _ => return [json!(0), json!(1), json!(2), json!(0.0), json!(2.0)][random.below(5)].clone(),
    };
    json!(random.pick(words))
}

fn documents(random: &mut Random) -> Value {
    let mut documents = vec!["voter_id", "aadhaar", "pan", "pan"];
    random.shuffle(&mut documents);
    documents.truncate(random.below(5));
    json!(documents)
}
