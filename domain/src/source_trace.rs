//! The text of `trust.source_trace`: an object with a verb and a day for each source.

use crate::canonical::CanonicalJson;
use crate::day::Day;
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

    /// Appends an entry with a verb, by its place in [`VERBS`], and a day.
    pub(crate) fn push_day(&mut self, source: Source, verb: usize, day: Day) {
        if verb == usual_verb(source) {
            self.push_separator();
            self.0.push_str(usual_head(source));
        } else {
            self.push_name(source.name());
            self.0.push_str("\":\"");
            self.0.push_str(VERBS.get(verb).copied().unwrap_or_default());
            self.0.push('_');
        }
        day.push(&mut self.0);
        self.0.push('"');
    }

    fn push_separator(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }

    fn push_name(&mut self, name: &str) {
        self.push_separator();
        self.0.push('"');
        self.0.push_str(name);
    }

    /// Returns the trace.
    pub(crate) fn finish(mut self) -> CanonicalJson {
        self.0.push('}');
        CanonicalJson::from_canonical(self.0)
    }
}

/// Returns the place in [`VERBS`] of the verb that the server writes for a source.
pub(crate) const fn usual_verb(source: Source) -> usize {
    match source {
        Source::Identity => 0,
        Source::Metadata | Source::SelfEdit | Source::Schemes | Source::Deadlines | Source::Consent => 1,
        Source::Eligibility | Source::Trust | Source::Predictions | Source::Analytics => 2,
    }
}

/// Returns what the server writes before the day of a source, in one piece.
const fn usual_head(source: Source) -> &'static str {
    match source {
        Source::Identity => r#""identity":"verified_"#,
        Source::Metadata => r#""metadata":"synced_"#,
        Source::SelfEdit => r#""self":"synced_"#,
        Source::Eligibility => r#""eligibility":"computed_"#,
        Source::Schemes => r#""schemes":"synced_"#,
        Source::Deadlines => r#""deadlines":"synced_"#,
        Source::Trust => r#""trust":"computed_"#,
        Source::Predictions => r#""predictions":"computed_"#,
        Source::Analytics => r#""analytics":"computed_"#,
        Source::Consent => r#""consent":"synced_"#,
    }
}

/// Returns the entries of a trace as source, place in [`VERBS`], and day. Where it has anything else, the iterator returns
/// `None` for it, and what comes behind it means nothing.
pub(crate) fn entries(trace: &str) -> impl Iterator<Item = Option<(Source, usize, Day)>> {
    let mut sources = BY_NAME.into_iter();
    let (mut rest, mut separator) = (trace, "{");
    if trace == "{}" {
        rest = "}";
    }
    std::iter::from_fn(move || {
        (rest != "}").then(|| {
            let text = rest.strip_prefix(std::mem::replace(&mut separator, ","))?;
            let (entry, behind) = entry(text, &mut sources)?;
            rest = behind;
            Some(entry)
        })
    })
}

/// Returns the entry that the text begins with, of one of `sources`, and the text behind it.
fn entry<'t>(text: &'t str, sources: &mut impl Iterator<Item = Source>) -> Option<((Source, usize, Day), &'t str)> {
    let text = text.strip_prefix('"')?;
    let (source, text) = sources.find_map(|source| Some((source, after(text, source.name(), "\":\"")?)))?;
    let (verb, text) = (0..VERBS.len()).find_map(|place| Some((place, after(text, VERBS[place], "_")?)))?;
    let (date, text) = text.split_at_checked(10)?;
    Some(((source, verb, Day::parse(date)?), text.strip_prefix('"')?))
}

/// Returns what is behind two texts.
fn after<'t>(text: &'t str, first: &str, second: &str) -> Option<&'t str> {
    text.strip_prefix(first)?.strip_prefix(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_in_the_order_of_their_names() {
        assert!(BY_NAME.is_sorted_by(|a, b| a.name() < b.name()));
    }

    #[test]
    fn a_head_is_the_name_and_the_usual_verb() {
        for source in BY_NAME {
            let (name, verb) = (source.name(), VERBS[usual_verb(source)]);
            assert_eq!(usual_head(source), format!("\"{name}\":\"{verb}_"));
        }
    }

    #[test]
    fn a_trace_is_read_as_it_was_written() {
        let days = [Day(20_454), Day(0), Day(-719_528)];
        let mut text = TraceText::new();
        let mut written = Vec::new();
        for (index, source) in BY_NAME.into_iter().enumerate() {
            text.push_day(source, index % 3, days[index / 4]);
            written.push(Some((source, index % 3, days[index / 4])));
        }
        let text = text.finish();
        assert_eq!(entries(text.as_str()).collect::<Vec<_>>(), written);
        for other in [
            r#"{"consent":1}"#,
            r#"{"consent":"synced_2026-02-30"}"#,
            r#"{"consent":"synced-2026-01-01"}"#,
            r#"{"consent":"_2026-01-01"}"#,
            r#"{"nobody":"synced_2026-01-01"}"#,
            r#"{"consent":"synced_2026-01-01x"}"#,
            r#",{"consent":"synced_2026-01-01"}"#,
            "{",
            "",
        ] {
            assert_eq!(entries(other).next(), Some(None), "{other}");
        }
        assert_eq!(entries(TraceText::new().finish().as_str()).next(), None);
    }
}
