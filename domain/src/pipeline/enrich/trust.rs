//! Trust: what the trust source sent, how fresh the sources are, and a trace of them.

use super::trust_register;
use crate::canonical::CanonicalJson;
use crate::day::Day;
use crate::documents::SourceDocuments;
use crate::event::RegisterPath;
use crate::rules::Rules;
use crate::scan;
use crate::source::Source;
use crate::source_trace::{BY_NAME, TraceText, usual_verb};
use crate::table::Leaf;

pub(super) fn assemble(documents: &SourceDocuments, day: Day, rules: &Rules) -> Vec<(Leaf, CanonicalJson)> {
    let Some(oldest) = oldest(documents) else { return Vec::new() };
    let tenths = tenths_of_hours(oldest, day.start(&rules.zone));
    let mut leaves = Vec::with_capacity(3);
    leaves.push((Leaf::TrustDataFreshnessHours, CanonicalJson::tenths(tenths)));
    let confidence = documents.owned(Source::Trust, Leaf::TrustOverallConfidence);
    if let Some(value) = confidence.and_then(|register| register.value.clone()) {
        leaves.push((Leaf::TrustOverallConfidence, value));
    }
    leaves.push((Leaf::TrustSourceTrace, source_trace(documents, rules)));
    leaves
}

/// Returns whether the newest register of a source, which can be newer than `before`, leaves the trust section as it was.
/// It mostly does: many events come on the day of the one before them.
pub(in crate::pipeline) fn stays(
    source: Source,
    before: &SourceDocuments,
    after: &SourceDocuments,
    day: Day,
    rules: &Rules,
) -> bool {
    let (old, new) = (before.newest(source), after.newest(source));
    let (Some(old), Some(new)) = (old, new) else { return old == new };
    if old == new {
        return true;
    }
    if Day::at(old, &rules.zone) != Day::at(new, &rules.zone) {
        return false;
    }
    // Only if all that is left is newer, this source alone held the oldest.
    let is_as_old = |other| begins_trust(other) && after.newest(other).is_some_and(|newest| newest <= old);
    if !begins_trust(source) || Source::ALL.into_iter().any(is_as_old) {
        return true;
    }
    let start = day.start(&rules.zone);
    oldest(after).is_none_or(|oldest| tenths_of_hours(oldest, start) == tenths_of_hours(old, start))
}

/// Returns the time of the source whose newest register is the oldest, among those that begin the trust section.
fn oldest(documents: &SourceDocuments) -> Option<i64> {
    let sources = Source::ALL.into_iter().filter(|source| begins_trust(*source));
    sources.filter_map(|source| documents.newest(source)).min()
}

/// Returns whether the source begins the trust section. Consent and self alone make no trust section, and their age
/// makes no data stale.
fn begins_trust(source: Source) -> bool {
    !matches!(source, Source::Consent | Source::SelfEdit)
}

/// Tenths of hours from `oldest` to the day's start, rounded half up, not below 0.
fn tenths_of_hours(oldest: i64, day_start: i64) -> i64 {
    const TENTH_MICROS: i64 = 360_000_000;
    ((day_start - oldest).max(0) + TENTH_MICROS / 2) / TENTH_MICROS
}

/// Returns the trace: for each source what the trust source sent, or else the day of its newest register.
fn source_trace(documents: &SourceDocuments, rules: &Rules) -> CanonicalJson {
    let sent = trust_register(documents, &RegisterPath::Leaf(Leaf::TrustSourceTrace));
    let mut sent = sent.iter().flat_map(|sent| scan::members(sent.as_str())).peekable();
    let mut text = TraceText::new();
    for source in BY_NAME {
        while let Some((name, value)) = sent.next_if(|(name, _)| *name < source.name()) {
            text.push(name, value);
        }
        if let Some((name, value)) = sent.next_if(|(name, _)| *name == source.name()) {
            text.push(name, value);
        } else if let Some(newest) = documents.newest(source) {
            text.push_day(source, usual_verb(source), Day::at(newest, &rules.zone));
        }
    }
    sent.for_each(|(name, value)| text.push(name, value));
    text.finish()
}
