//! Trust: what the trust source sent, how fresh the sources are, and a trace of them.

use std::fmt::Write as _;

use super::trust_register;
use crate::canonical::{CanonicalJson, write_object};
use crate::day::Day;
use crate::documents::SourceDocuments;
use crate::event::RegisterPath;
use crate::rules::Rules;
use crate::scan;
use crate::source::Source;
use crate::table::Leaf;

pub(super) fn assemble(documents: &SourceDocuments, day: Day, rules: &Rules) -> Vec<(Leaf, CanonicalJson)> {
    let newest: Vec<(Source, i64)> =
        documents.iter().filter_map(|(source, doc)| Some((source, doc.newest()?))).collect();
    let oldest = newest.iter().filter(|(source, _)| begins_trust(*source)).map(|(_, time)| *time).min();
    let Some(oldest) = oldest else { return Vec::new() };
    let mut leaves = vec![(Leaf::TrustDataFreshnessHours, freshness_hours(oldest, day.start(&rules.zone)))];
    let confidence = documents.owned(Source::Trust, Leaf::TrustOverallConfidence);
    if let Some(value) = confidence.and_then(|register| register.value.clone()) {
        leaves.push((Leaf::TrustOverallConfidence, value));
    }
    leaves.push((Leaf::TrustSourceTrace, source_trace(documents, &newest, rules)));
    leaves
}

/// Returns whether the source begins the trust section. Consent and self alone make no trust section, and their age
/// makes no data stale.
fn begins_trust(source: Source) -> bool {
    !matches!(source, Source::Consent | Source::SelfEdit)
}

/// Hours from `oldest` to the day's start, rounded half up to one decimal, not below 0.
fn freshness_hours(oldest: i64, day_start: i64) -> CanonicalJson {
    const TENTH_MICROS: i64 = 360_000_000;
    let tenths = ((day_start - oldest).max(0) + TENTH_MICROS / 2) / TENTH_MICROS;
    CanonicalJson::number(tenths as f64 / 10.0)
}

fn source_trace(documents: &SourceDocuments, newest: &[(Source, i64)], rules: &Rules) -> CanonicalJson {
    let mut entries: Vec<(&str, String)> = Vec::with_capacity(Source::COUNT);
    for (source, time) in newest {
        let mut text = String::with_capacity(24);
        let _ = write!(text, "\"{}_{}\"", verb(*source), Day::at(*time, &rules.zone));
        entries.push((source.name(), text));
    }
    let sent = trust_register(documents, &RegisterPath::Leaf(Leaf::TrustSourceTrace));
    for (name, value) in sent.iter().flat_map(|sent| scan::members(sent.as_str())) {
        entries.retain(|(found, _)| *found != name);
        entries.push((name, value.to_owned()));
    }
    entries.sort_unstable();
    let mut out = String::with_capacity(entries.len() * 40);
    write_object(&mut out, entries, |out, value| out.push_str(&value));
    CanonicalJson::from_canonical(out)
}

fn verb(source: Source) -> &'static str {
    match source {
        Source::Identity => "verified",
        Source::Metadata | Source::SelfEdit | Source::Schemes | Source::Deadlines | Source::Consent => "synced",
        Source::Eligibility | Source::Trust | Source::Predictions | Source::Analytics => "computed",
    }
}
