//! The sections that consist of winning values, and the totals computed from them.

use serde_json::{Map, Value, json};

use super::Fixture;
use super::registers::{Registers, leaves};

/// Returns the winning values of a section's leaves, or `None` if there are none.
pub(crate) fn plain(registers: &Registers, section: &str) -> Option<Value> {
    present(winning_leaves(registers, section))
}

/// Returns the winning value of each leaf that has one.
pub(crate) fn winning_leaves(registers: &Registers, section: &str) -> Map<String, Value> {
    let values = leaves(section).iter().map(|leaf| (*leaf, registers.winning_value(&format!("{section}.{leaf}"))));
    values.filter_map(|(leaf, value)| Some((leaf.to_owned(), value?))).collect()
}

fn present(section: Map<String, Value>) -> Option<Value> {
    (!section.is_empty()).then_some(Value::Object(section))
}

/// Returns the section as a plain one, but without a district outside the winning state.
pub(crate) fn demographics(registers: &Registers, fixture: &Fixture) -> Option<Value> {
    let mut section = winning_leaves(registers, "demographics");
    let lies_in_state = |district: &str| {
        let state = section.get("state").and_then(Value::as_str);
        state.and_then(|state| fixture.districts.get(state)).is_some_and(|districts| districts.contains(district))
    };
    if section.get("district").and_then(Value::as_str).is_some_and(|district| !lies_in_state(district)) {
        section.remove("district");
    }
    present(section)
}

/// Returns the newest batch with its overlays, and the totals; `None` without a batch.
pub(crate) fn eligibility(registers: &Registers) -> Option<Value> {
    let mut batch = registers.winning_value("eligibility.batch")?;
    let schemes = batch.as_array_mut().expect("a list of schemes");
    for scheme in schemes.iter_mut() {
        let id = scheme["scheme_id"].as_str().expect("an id");
        if let Some(status) = registers.winning_value(&format!("status/{id}")) {
            scheme["application_status"] = status;
        }
    }
    let status = |scheme: &&Value| scheme["application_status"].as_str().expect("a status").to_owned();
    let with_status = |wanted: &[&str]| schemes.iter().filter(|s| wanted.contains(&status(s).as_str())).count();
    let benefit: u64 = schemes
        .iter()
        .filter(|scheme| !["rejected", "lapsed"].contains(&status(scheme).as_str()))
        .map(|scheme| scheme.get("annual_benefit_inr").map_or(0, |benefit| benefit.as_u64().expect("an integer")))
        .sum();
    Some(json!({
        "total_eligible": schemes.len(),
        "total_applied": with_status(&["applied", "under_review", "approved", "active"]),
        "total_active": with_status(&["active"]),
        "potential_annual_benefit_inr": benefit,
        "eligible_schemes": batch,
    }))
}

/// Returns the risks, and the greatest of them as `overall`.
pub(crate) fn risk_scores(registers: &Registers) -> Option<Value> {
    let mut section = winning_leaves(registers, "risk_scores");
    let greatest = section.values().cloned().max_by(|a, b| {
        let number = |value: &Value| value.as_f64().expect("a number");
        number(a).total_cmp(&number(b))
    })?;
    section.insert("overall".to_owned(), greatest);
    present(section)
}

/// Returns both lists of predictions, as they were sent.
pub(crate) fn predictions(registers: &Registers) -> Option<Value> {
    let lists = ["predicted_events", "recommended_actions"];
    let values = lists.iter().map(|list| (*list, registers.winning_value(&format!("predictions.{list}"))));
    present(values.filter_map(|(list, value)| Some((list.to_owned(), value?))).collect())
}
