//! Content negotiation by `Accept` (RFC 9110, sections 12.4.2 and 12.5.1).

use std::cmp::Reverse;

use actix_web::http::header::{self, HeaderMap};

use super::{elements, parts};

/// A form in which a resource can be served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServedType {
    media_type: &'static str,
    parameter: Option<(&'static str, &'static str)>,
    alias: Option<&'static str>,
}

impl ServedType {
    /// A form of this media type, in lower case.
    pub(crate) const fn new(media_type: &'static str) -> Self {
        Self { media_type, parameter: None, alias: None }
    }

    /// The form has a parameter, which a range must have with the same value if it has it at all.
    pub(crate) const fn with_parameter(self, name: &'static str, value: &'static str) -> Self {
        Self { parameter: Some((name, value)), ..self }
    }

    /// A more general media type that covers the form too.
    pub(crate) const fn with_alias(self, media_type: &'static str) -> Self {
        Self { alias: Some(media_type), ..self }
    }

    /// How exactly the range names the form, from 0 for `*/*`; `None` if it does not cover the form.
    ///
    /// A parameter that the form does not have is ignored: clients send `application/json; charset=utf-8` by habit.
    fn specificity(&self, range: &Range<'_>) -> Option<u8> {
        let (kind, _) = self.media_type.split_once('/')?;
        let is = |media_type: &str| range.media_type.eq_ignore_ascii_case(media_type);
        match range.media_type.split_once('/') {
            _ if is("*/*") || is("*") => Some(0),
            Some((given, "*")) if given.eq_ignore_ascii_case(kind) => Some(1),
            _ if self.alias.is_some_and(is) => Some(2),
            _ if is(self.media_type) => {
                let given = self.parameter.and_then(|(name, value)| Some((range.parameter(name)?, value)));
                match given {
                    None => Some(3),
                    Some((given, value)) => (given == value).then_some(4),
                }
            }
            _ => None,
        }
    }
}

/// One range of the header.
struct Range<'h> {
    media_type: &'h str,
    parameters: &'h str,
    /// In thousandths.
    weight: u16,
}

impl<'h> Range<'h> {
    /// `None` for an element that is not a range. Such an element asks for nothing.
    fn parse(element: &'h [u8]) -> Option<Self> {
        let text = std::str::from_utf8(element).ok()?;
        let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut range = Self { media_type: media_type.trim(), parameters, weight: 1_000 };
        if let Some(weight) = range.parameter("q") {
            range.weight = parse_weight(weight)?;
        }
        Some(range)
    }

    fn parameter(&self, name: &str) -> Option<&'h str> {
        let pairs =
            parts(self.parameters.as_bytes(), b';').filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let mut values = pairs.filter(|(given, _)| given.trim().eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().trim_matches('"'))
    }
}

/// A weight in thousandths. More digits than the three of the grammar, and a missing zero, are accepted.
fn parse_weight(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f64 = text.parse().ok().filter(|_| digits)?;
    // Rounded up: only an exact zero means "not acceptable".
    (weight <= 1.0).then(|| (weight * 1_000.0).ceil() as u16)
}

/// The index of the form that the client prefers; `None` if it accepts none. The most specific range decides about each
/// form. Among forms of equal weight the more exactly named one wins, then the earlier range, then the earlier form.
pub(crate) fn choose(headers: &HeaderMap, forms: &[ServedType]) -> Option<usize> {
    if elements(headers, &header::ACCEPT).next().is_none() {
        return Some(0);
    }
    let preference = |(index, form): (usize, &ServedType)| {
        let ranges = elements(headers, &header::ACCEPT).filter_map(Range::parse).enumerate();
        let fitting =
            ranges.filter_map(|(place, range)| Some((form.specificity(&range)?, Reverse(place), range.weight)));
        let (specificity, place, weight) = fitting.max()?;
        (weight > 0).then_some((weight, specificity, place, Reverse(index)))
    };
    forms.iter().enumerate().filter_map(preference).max().map(|(.., Reverse(index))| index)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    const STREAMS: [ServedType; 2] = [ServedType::new("text/event-stream"), ServedType::new("application/x-ndjson")];
    const PROFILE: [ServedType; 1] =
        [ServedType::new("application/vnd.x+json").with_parameter("version", "2.0").with_alias("application/json")];

    fn chosen(lines: &[&str], forms: &[ServedType]) -> Option<usize> {
        choose(&map(header::ACCEPT, lines), forms)
    }

    #[test]
    fn weights_decide_and_zero_excludes() {
        let cases: [(&[&str], Option<usize>); 19] = [
            (&[], Some(0)),
            (&[""], Some(0)),
            (&[" , "], Some(0)),
            (&["text/event-stream;q=0, application/x-ndjson"], Some(1)),
            (&["*/*;q=0.1, application/x-ndjson"], Some(1)),
            (&["text/event-stream;q=0"], None),
            (&["text/event-stream;q=0.000, */*"], Some(1)),
            (&["text/event-stream; Q=0.3 , application/x-ndjson;q=.4"], Some(1)),
            (&["text/event-stream;q=0.0001"], Some(0)),
            (&["text/html, Application/X-NDJSON;q=0.9, */*;q=0.8"], Some(1)),
            (&["text/html", "application/x-ndjson"], Some(1)),
            (&["application/x-ndjson, */*"], Some(1)),
            (&["application/x-ndjson, text/event-stream"], Some(1)),
            (&["text/*, application/*"], Some(0)),
            (&["text/*;q=0.2, application/*"], Some(1)),
            (&["image/gif, *; q=.2"], Some(0)),
            (&["application/json"], None),
            (&["*/event-stream"], None),
            (&["text/event-stream;q=2, application/x-ndjson;q=0.1"], Some(1)),
        ];
        for (lines, expected) in cases {
            assert_eq!(chosen(lines, &STREAMS), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_most_specific_range_decides() {
        let accepted = |line| chosen(&[line], &PROFILE).is_some();
        for line in [
            "*/*",
            "application/json",
            "application/json; charset=utf-8",
            "text/html, application/*;q=0.5",
            "application/vnd.x+json",
            "application/vnd.x+json;version=2.0",
            "application/vnd.x+json; Version=\"2.0\"; q=0.3, text/html",
            "application/vnd.x+json;version=1.0, */*;q=0.1",
            "*/*;q=0, application/json",
            "application/vnd.x+json;q=0, application/vnd.x+json;version=2.0",
        ] {
            assert!(accepted(line), "{line}");
        }
        for line in [
            "application/vnd.x+json;version=1.0",
            "text/html",
            "application/json;q=0",
            "application/json;q=0, */*",
            "application/vnd.x+json;q=0, */*",
            "application/vnd.x+json;version=2.0;q=0, application/vnd.x+json",
            "nonsense",
            "application/json;q=x",
        ] {
            assert!(!accepted(line), "{line}");
        }
    }
}
