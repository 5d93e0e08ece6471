//! Personal data and secrets in text: one definition for what validation refuses and for what logs hide.
//!
//! [`find`] returns everything that logs hide. What free text must not hold ([`in_text`]) is a subset of it, and what
//! ids must not hold ([`in_id`]) is a subset of that, so nothing that validation refuses appears in a log.
//!
//! Every search takes time in proportion to the text's length. Digits count in every script, letters in every width,
//! and invisible characters are ignored. docs/security.md lists what is found and what is not.

mod digits;
mod glyph;
mod groups;
mod numbers;
mod secrets;
mod steps;
mod verhoeff;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;

use glyph::Percent;
use groups::Groups;
use words::Words;

use crate::named_enum;

named_enum! {
    /// The kind of sensitive data that was found.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum SensitiveKind {
        /// A JSON Web Token.
        Jwt => "jwt",
        /// A key in hex, base64 or PEM.
        Key => "key",
        /// An e-mail address.
        Email => "email",
        /// The number of a taxpayer under the goods and services tax; it holds a PAN.
        Gstin => "gstin",
        /// A permanent account number of the income tax.
        Pan => "pan",
        /// The number of a voter's card.
        VoterId => "voter_id",
        /// The number of a passport.
        Passport => "passport",
        /// An Aadhaar number.
        Aadhaar => "aadhaar",
        /// An Indian phone number.
        Phone => "phone",
        /// The id of a user of this server.
        UserId => "user_id",
    }
}

impl SensitiveKind {
    /// Returns whether free text that holds this kind is refused. A GSTIN contains its owner's PAN.
    const fn is_refused_in_text(self) -> bool {
        matches!(self, Self::Aadhaar | Self::Pan | Self::Gstin | Self::Phone)
    }
}

/// A range of a text that holds sensitive data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensitiveSpan {
    /// The kind of data.
    pub kind: SensitiveKind,
    /// The bytes that it takes.
    pub range: Range<usize>,
}

/// Returns everything in the text that must not appear in a log, ordered by start, the longest first. Spans may
/// overlap.
pub fn find(text: &str) -> Vec<SensitiveSpan> {
    let mut spans = Vec::new();
    secrets::find(text, |kind, range| spans.push(SensitiveSpan { kind, range }));
    if may_hold_number(text) {
        numbers_and_words(text, |found| spans.push(found.span));
    }
    spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    spans
}

/// Returns whether free text holds an Aadhaar number, a PAN or an Indian phone number.
pub fn in_text(text: &str) -> bool {
    let mut is_found = false;
    if may_hold_number(text) {
        numbers_and_words(text, |found| is_found |= found.span.kind.is_refused_in_text());
    }
    is_found
}

/// Returns whether an id holds an Aadhaar number, a PAN or an Indian phone number in a form that is unlikely to occur
/// by chance: see docs/security.md.
pub fn in_id(id: &str) -> bool {
    let mut is_found = false;
    if may_hold_number(id) {
        for part in parts_around_uuids(id) {
            numbers_and_words(part, |found| is_found |= found.stands_alone && found.span.kind.is_refused_in_text());
        }
    }
    is_found
}

/// Returns whether the text has the four digits that every number of a person or a document has. Most text has fewer,
/// and is not searched any further.
fn may_hold_number(text: &str) -> bool {
    let digits = if text.is_ascii() {
        text.bytes().filter(u8::is_ascii_digit).count()
    } else {
        // A circled number has up to two digits.
        text.chars()
            .map(|c| if c.is_ascii() { usize::from(c.is_ascii_digit()) } else { 2 * usize::from(c.is_numeric()) })
            .sum()
    };
    digits >= 4
}

struct Finding {
    span: SensitiveSpan,
    /// Whether its form is unlikely to occur in an id by chance.
    stands_alone: bool,
}

/// Searches the text as it stands and, where `%` may begin an escape, also with its escapes read.
fn numbers_and_words(text: &str, mut found: impl FnMut(Finding)) {
    numbers_and_words_as(text, Percent::Sign, &mut found);
    if glyph::has_percent_escape(text) {
        numbers_and_words_as(text, Percent::Escape, &mut found);
    }
}

fn numbers_and_words_as(text: &str, percent: Percent, mut found: impl FnMut(Finding)) {
    let mut spans = Vec::new();
    let mut groups = Groups::new(|run: &[groups::Group]| {
        numbers::ending_here(run, |kind, first| {
            let groups = &run[first..];
            let plus = groups[0].plus.filter(|_| kind == SensitiveKind::Phone);
            let range = plus.unwrap_or(groups[0].range.start)..groups[groups.len() - 1].range.end;
            let stands_alone = numbers::stands_alone(kind, groups);
            spans.push(Finding { span: SensitiveSpan { kind, range }, stands_alone });
        });
    });
    let mut words =
        Words::new(|kind, range, stands_alone| found(Finding { span: SensitiveSpan { kind, range }, stands_alone }));
    glyph::fold(text, percent, |symbol| {
        groups.take(symbol);
        words.take(symbol);
    });
    groups.finish();
    words.finish();
    spans.into_iter().for_each(found);
}

/// Returns the parts of the id around the UUIDs (RFC 9562) in it, whose last part may consist of digits alone.
fn parts_around_uuids(id: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(id);
    std::iter::from_fn(move || {
        let text = rest?;
        let uuid =
            (0..text.len().saturating_sub(UUID_BYTES - 1)).find(|at| is_uuid(&text.as_bytes()[*at..][..UUID_BYTES]));
        let (part, after) = match uuid {
            Some(at) => (&text[..at], Some(&text[at + UUID_BYTES..])),
            None => (text, None),
        };
        rest = after;
        Some(part)
    })
}

const UUID_BYTES: usize = 36;

fn is_uuid(bytes: &[u8]) -> bool {
    let is_shaped = bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    is_shaped && bytes.iter().any(u8::is_ascii_alphabetic)
}
