//! Content negotiation by `Accept` (RFC 9110, sections 12.4.2 and 12.5.1).

use std::cmp::Reverse;

use actix_web::http::header::{self, HeaderMap};

use super::elements;
use super::media_type::MediaType;

/// A media type in which a resource can be served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServedType {
    name: &'static str,
    parameter: Option<(&'static str, &'static str)>,
    alias: Option<&'static str>,
}

impl ServedType {
    /// Returns the media type `name`, which is written in lower case.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, parameter: None, alias: None }
    }

    /// Adds a parameter. A range that names the parameter with another value does not cover this type.
    pub(crate) const fn with_parameter(self, name: &'static str, value: &'static str) -> Self {
        Self { parameter: Some((name, value)), ..self }
    }

    /// Adds a more general media type: a range that names it covers this type too.
    pub(crate) const fn with_alias(self, name: &'static str) -> Self {
        Self { alias: Some(name), ..self }
    }

    /// Returns how specific the range is for this type, from 0 for `*/*` to 4 for a type with its parameter; `None` if
    /// the range does not cover this type.
    ///
    /// Parameters that this type does not have are ignored: many clients send `application/json; charset=utf-8`.
    fn specificity(&self, range: &Range<'_>) -> Option<u8> {
        let (kind, _) = self.name.split_once('/')?;
        let is = |name: &str| range.media_type.is(name);
        match range.media_type.name().split_once('/') {
            _ if is("*/*") || is("*") => Some(0),
            Some((given, "*")) if given.eq_ignore_ascii_case(kind) => Some(1),
            _ if self.alias.is_some_and(is) => Some(2),
            _ if is(self.name) => {
                let given = self.parameter.and_then(|(name, value)| Some((range.media_type.parameter(name)?, value)));
                match given {
                    None => Some(3),
                    Some((given, value)) => (given == value).then_some(4),
                }
            }
            _ => None,
        }
    }
}

/// One media range of the header, with its weight.
struct Range<'h> {
    media_type: MediaType<'h>,
    /// In thousandths.
    weight: u16,
}

impl<'h> Range<'h> {
    /// Returns `None` for an element that is not a range, which is ignored.
    fn parse(element: &'h [u8]) -> Option<Self> {
        let media_type = MediaType::parse(std::str::from_utf8(element).ok()?);
        let weight = media_type.parameter("q").map_or(Some(1_000), parse_weight)?;
        Some(Self { media_type, weight })
    }
}

/// Parses a weight, in thousandths. More than three digits, and a missing zero before the point, are accepted too.
fn parse_weight(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let weight: f64 = text.parse().ok().filter(|_| digits)?;
    // Rounded up, since only an exact zero means "not acceptable".
    (weight <= 1.0).then(|| (weight * 1_000.0).ceil() as u16)
}

/// Returns the index of the type that the client prefers; `None` if it accepts none of them. For each type the most
/// specific range decides. Among types of equal weight the more specific range wins, then the earlier range, then the
/// earlier type.
pub(crate) fn choose(headers: &HeaderMap, served: &[ServedType]) -> Option<usize> {
    if elements(headers, &header::ACCEPT).next().is_none() {
        return Some(0);
    }
    let preference = |(index, served): (usize, &ServedType)| {
        let ranges = elements(headers, &header::ACCEPT).filter_map(Range::parse).enumerate();
        let fitting =
            ranges.filter_map(|(place, range)| Some((served.specificity(&range)?, Reverse(place), range.weight)));
        let (specificity, place, weight) = fitting.max()?;
        (weight > 0).then_some((weight, specificity, place, Reverse(index)))
    };
    served.iter().enumerate().filter_map(preference).max().map(|(.., Reverse(index))| index)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    const STREAMS: [ServedType; 2] = [ServedType::new("text/event-stream"), ServedType::new("application/x-ndjson")];
    const PROFILE: [ServedType; 1] =
        [ServedType::new("application/vnd.x+json").with_parameter("version", "2.0").with_alias("application/json")];

    fn chosen(lines: &[&str], served: &[ServedType]) -> Option<usize> {
        choose(&map(header::ACCEPT, lines), served)
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
