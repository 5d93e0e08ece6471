//! Eligibility: the newest batch, with the overlays of application statuses, and its totals.

use crate::canonical::CanonicalJson;
use crate::documents::SourceDocuments;
use crate::event::RegisterPath;
use crate::scan;
use crate::source::{Kind, Source};
use crate::table::Leaf;

pub(super) fn assemble(documents: &SourceDocuments) -> Vec<(Leaf, CanonicalJson)> {
    let batch = documents.owned(Source::Eligibility, Leaf::EligibilityEligibleSchemes);
    let Some(batch) = batch.and_then(|register| register.value.as_ref()) else { return Vec::new() };
    let mut schemes = String::with_capacity(batch.as_bytes().len() + 16);
    let (mut eligible, mut applied, mut active, mut benefit) = (0, 0, 0, 0);
    schemes.push('[');
    for scheme in scan::elements(batch.as_str()) {
        let own = scan::member(scheme, "application_status").unwrap_or_default();
        let overlay = overlay(documents, scheme);
        let status = overlay.as_ref().map_or(own, |value| value.as_str());
        eligible += 1;
        applied += i64::from(matches!(status, "\"applied\"" | "\"under_review\"" | "\"approved\"" | "\"active\""));
        active += i64::from(status == "\"active\"");
        if !matches!(status, "\"rejected\"" | "\"lapsed\"") {
            benefit += scan::member(scheme, "annual_benefit_inr").and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
        }
        if eligible > 1 {
            schemes.push(',');
        }
        push_with_status(&mut schemes, scheme, own, status);
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

/// The overlay of a scheme, whatever the batch's time.
fn overlay(documents: &SourceDocuments, scheme: &str) -> Option<CanonicalJson> {
    documents.of(Source::Schemes)?;
    let path = RegisterPath::SchemeStatus(scan::text_member(scheme, "scheme_id")?.into());
    documents.get(Source::Schemes, &path, Kind::Inferred)?.value.clone()
}

fn push_with_status(out: &mut String, scheme: &str, own: &str, status: &str) {
    if own == status {
        return out.push_str(scheme);
    }
    // `own` is a slice of `scheme`: its place is the difference of their addresses.
    let start = own.as_ptr() as usize - scheme.as_ptr() as usize;
    out.push_str(&scheme[..start]);
    out.push_str(status);
    out.push_str(&scheme[start + own.len()..]);
}
