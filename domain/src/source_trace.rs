//! The text of `trust.source_trace`: an object with a verb and a day for each source.

use crate::canonical::CanonicalJson;
use crate::day::Day;
use crate::scan;
use crate::source::Source;

/// What the server writes before a day. Append-only: stored bytes name a verb by its position.
pub(crate) const VERBS: [&str; 3] = ["verified", "synced", "computed"];

/// All sources, in the order of their names.
pub(crate) const BY_NAME: [Source; Source::COUNT] = [
    Source::Analytics,
    Source::Consent,
    Source::Deadlines,
    Source::Eligibility,
    Source::Identity,
    Source::Metadata,
    Source::Predictions,
    Source::Schemes,
    Source::SelfEdit,
    Source::Trust,
];

/// A trace that is being written. The caller passes the entries in the order of their names.
pub(crate) struct TraceText(String);

impl TraceText {
    /// Returns a trace without entries.
    pub(crate) fn new() -> Self {
        // No entry is longer, unless the trust source sent it.
        let mut text = String::with_capacity(2 + Source::COUNT * 36);
        text.push('{');
        Self(text)
    }

    /// Appends an entry with any value, which is canonical JSON.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.push_name(name);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    /// Appends an entry with a verb and a day.
    pub(crate) fn push_day(&mut self, source: Source, verb: &str, day: Day) {
        self.push_name(source.name());
        self.0.push_str("\":\"");
        self.0.push_str(verb);
        self.0.push('_');
        day.push(&mut self.0);
        self.0.push('"');
    }

    fn push_name(&mut self, name: &str) {
        self.0.push_str(if self.0.len() == 1 { "\"" } else { ",\"" });
        self.0.push_str(name);
    }

    /// Returns the trace.
    pub(crate) fn finish(mut self) -> CanonicalJson {
        self.0.push('}');
        CanonicalJson::from_canonical(self.0)
    }
}

/// Returns the entries of a trace as source, place in [`VERBS`], and day. Where it has any other entry, the iterator
/// returns `None` for it.
pub(crate) fn entries(trace: &str) -> impl Iterator<Item = Option<(Source, u8, Day)>> {
    let mut sources = BY_NAME.into_iter();
    scan::members(trace).map(move |(name, value)| {
        let source = sources.find(|source| source.name() == name)?;
        let text = value.strip_prefix('"')?.strip_suffix('"')?;
        let (verb, date) = text.split_at_checked(text.len().checked_sub(10)?)?;
        let verb = verb.strip_suffix('_')?;
        let place = VERBS.iter().position(|known| *known == verb)?;
        Some((source, place as u8, Day::parse(date)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_in_the_order_of_their_names() {
        assert!(BY_NAME.is_sorted_by(|a, b| a.name() < b.name()));
    }

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        let days = [Day(20_454), Day(0), Day(-719_528)];
        let mut text = TraceText::new();
        let mut written = Vec::new();
        for (index, source) in BY_NAME.into_iter().enumerate() {
            text.push_day(source, VERBS[index % 3], days[index / 4]);
            written.push(Some((source, index as u8 % 3, days[index / 4])));
        }
        let text = text.finish();
        assert_eq!(entries(text.as_str()).collect::<Vec<_>>(), written);
        for other in [
            r#"{"consent":1}"#,
            r#"{"consent":"synced_2026-02-30"}"#,
            r#"{"consent":"synced-2026-01-01"}"#,
            r#"{"consent":"_2026-01-01"}"#,
            r#"{"nobody":"synced_2026-01-01"}"#,
        ] {
            assert_eq!(entries(other).collect::<Vec<_>>(), [None], "{other}");
        }
    }
}
