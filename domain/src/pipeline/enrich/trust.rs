//! Trust: what the trust source sent, how fresh the sources are, and a trace of them.

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
        Source::ALL.into_iter().filter_map(|source| Some((source, documents.newest(source)?))).collect();
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
    let sent = trust_register(documents, &RegisterPath::Leaf(Leaf::TrustSourceTrace));
    let mut sent: Vec<(&str, &str)> = sent.iter().flat_map(|sent| scan::members(sent.as_str())).collect();
    let mut entries: Vec<(&str, Entry<'_>)> = Vec::with_capacity(Source::COUNT);
    for (source, time) in newest {
        let name = source.name();
        match sent.iter().position(|(found, _)| *found == name) {
            Some(place) => entries.push((name, Entry::Sent(sent.swap_remove(place).1))),
            None => entries.push((name, Entry::Newest(verb(*source), Day::at(*time, &rules.zone)))),
        }
    }
    entries.extend(sent.into_iter().map(|(name, value)| (name, Entry::Sent(value))));
    entries.sort_unstable_by_key(|(name, _)| *name);
    let mut out = String::with_capacity(entries.len() * 40);
    write_object(&mut out, entries, |out, entry| match entry {
        Entry::Sent(value) => out.push_str(value),
        Entry::Newest(verb, day) => {
            out.push('"');
            out.push_str(verb);
            out.push('_');
            day.push(out);
            out.push('"');
        }
    });
    CanonicalJson::from_canonical(out)
}

/// An entry of the trace.
enum Entry<'a> {
    /// What the trust source sent.
    Sent(&'a str),
    /// The verb and the day of the source's newest register.
    Newest(&'static str, Day),
}

fn verb(source: Source) -> &'static str {
    match source {
        Source::Identity => "verified",
        Source::Metadata | Source::SelfEdit | Source::Schemes | Source::Deadlines | Source::Consent => "synced",
        Source::Eligibility | Source::Trust | Source::Predictions | Source::Analytics => "computed",
    }
}
