//! Entity tags and the conditions that list them (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// An entity tag without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'h> {
    is_weak: bool,
    opaque: &'h [u8],
}

/// How two tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The tags are equal and neither is weak, as `If-Match` requires.
    Strong,
    /// The tags are equal, weak or not, as `If-None-Match` requires.
    Weak,
}

/// Returns whether the condition in the header `name` lists `current`, the tag of the current representation; `None` if
/// the request has no such header. `*` matches every representation, but only as the whole value: a tag may contain `*`
/// and commas.
pub(crate) fn lists(
    headers: &HeaderMap,
    name: &HeaderName,
    current: Option<&HeaderValue>,
    comparison: Comparison,
) -> Option<bool> {
    let mut lines = headers.get_all(name);
    let first = lines.next()?.as_bytes();
    if first.trim_ascii() == b"*" && lines.next().is_none() {
        return Some(true);
    }
    let Some(current) = current.and_then(|value| Tags(value.as_bytes()).next()) else { return Some(false) };
    let is_current = |tag: Tag<'_>| {
        let is_strong = !tag.is_weak && !current.is_weak;
        tag.opaque == current.opaque && (is_strong || comparison == Comparison::Weak)
    };
    Some(headers.get_all(name).any(|line| Tags(line.as_bytes()).any(is_current)))
}

/// The tags of one header line. Text that is no tag is skipped up to the next comma. After an unmatched quotation mark
/// the rest of the line is skipped, because commas inside and outside of tags cannot be told apart.
struct Tags<'h>(&'h [u8]);

impl<'h> Iterator for Tags<'h> {
    type Item = Tag<'h>;

    fn next(&mut self) -> Option<Tag<'h>> {
        loop {
            self.0 = self.0.trim_ascii_start();
            if self.0.is_empty() {
                return None;
            }
            if let Some((tag, rest)) = parse(self.0) {
                self.0 = rest;
                return Some(tag);
            }
            if self.0.starts_with(b"\"") || self.0.starts_with(b"W/\"") {
                self.0 = b"";
            }
            let comma = self.0.iter().position(|byte| *byte == b',')?;
            self.0 = &self.0[comma + 1..];
        }
    }
}

/// Parses the tag at the start of the text. Returns it, and the text after the following comma.
fn parse(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let (is_weak, quoted) = text.strip_prefix(b"W/").map_or((false, text), |quoted| (true, quoted));
    let quoted = quoted.strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| !matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))?;
    let rest = quoted[end..].strip_prefix(b"\"")?.trim_ascii_start();
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix(b",")? };
    Some((Tag { is_weak, opaque: &quoted[..end] }, rest))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::IF_MATCH;

    use super::super::tests::map;
    use super::*;

    fn found(lines: &[&str], current: &str, comparison: Comparison) -> Option<bool> {
        let current = HeaderValue::from_str(current).expect("a header value");
        lists(&map(IF_MATCH, lines), &IF_MATCH, Some(&current), comparison)
    }

    #[test]
    fn one_matching_tag_of_any_line_suffices() {
        for lines in [
            &["*"][..],
            &[" * "],
            &["\"t\""],
            &["\"a\", \"t\""],
            &["\"a\"", "\"b\",\"t\" , "],
            &["\"a,\",\"*\" ,\"t\""],
            &["nonsense, \"t\""],
        ] {
            assert_eq!(found(lines, "\"t\"", Comparison::Strong), Some(true), "{lines:?}");
        }
        for lines in [
            &["\"x,*,y\""][..],
            &["\"*\""],
            &["*, \"x\""],
            &["*", "*"],
            &["\"x\"", "*"],
            &["t"],
            &["\"t"],
            &["\"T\""],
            &["w/\"t\""],
            &["\"a,\"t\""],
            &["\"a\" \"t\", \"t\""],
            &["\"x,\\\",t\""],
            &[""],
        ] {
            assert_eq!(found(lines, "\"t\"", Comparison::Weak), Some(false), "{lines:?}");
        }
        assert_eq!(found(&[], "\"t\"", Comparison::Weak), None);
        assert_eq!(found(&["\"a,\\\", \"t\""], "\"t\"", Comparison::Weak), Some(true), "a backslash escapes nothing");
        assert_eq!(found(&["\"é\""], "\"t\"", Comparison::Weak), Some(false));
    }

    #[test]
    fn weak_tags_match_weakly_only() {
        for (line, current) in [("W/\"t\"", "\"t\""), ("\"t\"", "W/\"t\""), ("W/\"t\"", "W/\"t\"")] {
            assert_eq!(found(&[line], current, Comparison::Strong), Some(false), "{line} {current}");
            assert_eq!(found(&[line], current, Comparison::Weak), Some(true), "{line} {current}");
        }
        let asked = |line| lists(&map(IF_MATCH, &[line]), &IF_MATCH, None, Comparison::Strong);
        assert_eq!((asked("\"t\""), asked("*")), (Some(false), Some(true)), "what has no tag");
    }
}
