//! Entity tags and the conditions that list them (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// A tag without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'h> {
    is_weak: bool,
    opaque: &'h [u8],
}

/// How two tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Equal, and neither is weak: for `If-Match`.
    Strong,
    /// Equal, weak or not: for `If-None-Match`.
    Weak,
}

/// Whether the condition `name` names `current`, the tag of what would be sent; `None` where the request has no such
/// condition. `*` stands for any tag and for what has no tag, but only if it is the whole value: a comma and `*` may
/// stand inside a tag.
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

/// The tags of a line. What is not a tag is skipped up to the next comma; behind a quotation mark that is out of place
/// nobody can tell which comma that is, so the rest of the line is left out.
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

/// The tag that the text begins with, and what follows the comma behind it.
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
    fn any_tag_of_any_line_will_do() {
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
