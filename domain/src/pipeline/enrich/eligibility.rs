//! Eligibility: the newest batch, with the overlays of application statuses, and its totals.

use crate::canonical::CanonicalJson;
use crate::documents::SourceDocuments;
use crate::item_text::push_with_status;
use crate::scan;
use crate::source::Source;
use crate::table::Leaf;

pub(super) fn assemble(documents: &SourceDocuments) -> Vec<(Leaf, CanonicalJson)> {
    let batch = documents.owned(Source::Eligibility, Leaf::EligibilityEligibleSchemes);
    let Some(batch) = batch.and_then(|register| register.value.as_ref()) else { return Vec::new() };
    let mut schemes = String::with_capacity(batch.as_bytes().len() + 16);
    let (mut eligible, mut applied, mut active, mut benefit) = (0, 0, 0, 0);
    schemes.push('[');
    let overlays = documents.document(Source::Schemes);
    for text in scan::elements(batch.as_str()) {
        let scheme = SchemeFields::read(text);
        // An overlay wins, whatever the batch's time.
        let overlay = overlays.and_then(|overlays| overlays.scheme_status(scheme.id)?.value.as_ref());
        let status = overlay.map_or(scheme.status, CanonicalJson::as_str);
        eligible += 1;
        applied += i64::from(matches!(status, "\"applied\"" | "\"under_review\"" | "\"approved\"" | "\"active\""));
        active += i64::from(status == "\"active\"");
        if !matches!(status, "\"rejected\"" | "\"lapsed\"") {
            benefit += scheme.annual_benefit_inr;
        }
        if eligible > 1 {
            schemes.push(',');
        }
        push_with_status(&mut schemes, text, scheme.status, status);
    }
    schemes.push(']');
    vec![
        (Leaf::EligibilityEligibleSchemes, CanonicalJson::from_canonical(schemes)),
        (Leaf::EligibilityPotentialAnnualBenefitInr, CanonicalJson::integer(benefit)),
        (Leaf::EligibilityTotalActive, CanonicalJson::integer(active)),
        (Leaf::EligibilityTotalApplied, CanonicalJson::integer(applied)),
        (Leaf::EligibilityTotalEligible, CanonicalJson::integer(eligible)),
    ]
}

/// The members of a scheme that the totals need, as slices of its text.
#[derive(Default)]
struct SchemeFields<'a> {
    id: &'a str,
    status: &'a str,
    annual_benefit_inr: i64,
}

impl<'a> SchemeFields<'a> {
    fn read(text: &'a str) -> Self {
        let mut scheme = Self::default();
        for (name, value) in scan::members(text) {
            match name {
                "annual_benefit_inr" => scheme.annual_benefit_inr = value.parse().unwrap_or(0),
                "application_status" => scheme.status = value,
                "scheme_id" => scheme.id = value.trim_matches('"'),
                _ => {}
            }
        }
        scheme
    }
}
