//! The rules of assembly that the examples use: the districts are those of the facts.

use std::collections::BTreeMap;

use domain::rules::{Limits, Rules};

/// Returns the rules.
///
/// # Errors
/// The time zone is not bundled.
pub(crate) fn rules() -> Result<Rules, jiff::Error> {
    let districts = data::states().iter().map(|state| {
        let districts = data::districts(state.slug).unwrap_or_default();
        (state.slug.to_string(), districts.iter().map(ToString::to_string).collect())
    });
    Ok(Rules {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata")?,
        districts: districts.collect::<BTreeMap<_, _>>(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    })
}
