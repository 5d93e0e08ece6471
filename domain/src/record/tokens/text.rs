//! Contents of strings, and bare texts such as ids.

use super::bytes::{push_utf8, put_varint, take_byte, take_counted, take_varint};
use super::codes::{
    DATE, DATED, INSTANT_END, INTEGER, INTEGER_END, LONG_PHRASE_END, NAME, PINCODE, SLUG, TEXT, TOKEN, UUID,
};
use super::{calendar, phrases, slug};
use crate::digits;

const TOKEN_PREFIX: &str = "tok_";

/// What event ids begin with. Append-only: stored bytes name one by its position.
const EVENT_PREFIXES: [&str; 10] = ["idn", "met", "slf", "elg", "sta", "ddl", "tru", "prd", "ana", "con"];

/// Appends a bare text.
pub(super) fn put_bare(out: &mut Vec<u8>, text: &str) {
    if put_event_id(out, text.as_bytes()).is_none() {
        put(out, text.as_bytes());
    }
}

/// Appends an id of two numbers: `idn-3-110`.
fn put_event_id(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let (prefix, rest) = text.split_at_checked(4)?;
    let at = EVENT_PREFIXES.iter().position(|known| prefix.strip_suffix(b"-") == Some(known.as_bytes()))?;
    let dash = rest.iter().position(|byte| *byte == b'-')?;
    let (first, second) = (decimal(&rest[..dash])?, decimal(&rest[dash + 1..])?);
    out.push(INTEGER + at as u8);
    put_varint(out, first);
    put_varint(out, second);
    Some(())
}

/// Returns a number of at most 15 digits without a zero in front.
fn decimal(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.len() < 15 => {
            text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
        }
        _ => None,
    }
}

/// Appends the content of a string, as it stands between the quotes.
pub(super) fn put(out: &mut Vec<u8>, content: &[u8]) {
    if content.len() == 10 && calendar::put(out, content) {
        return;
    }
    if let Some(number) = phrases::word(content) {
        return phrases::put(out, number);
    }
    if calendar::put(out, content) || put_composed(out, content).is_some() {
        return;
    }
    let (code, rest) = match content.strip_prefix(TOKEN_PREFIX.as_bytes()) {
        Some(rest) => (TOKEN, rest),
        None => (SLUG, content),
    };
    if slug::put(out, code, rest) {
        return;
    }
    out.push(TEXT);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn put_composed(out: &mut Vec<u8>, content: &[u8]) -> Option<()> {
    match content {
        [b'1'..=b'9', rest @ ..] if content.len() == 6 && rest.iter().all(u8::is_ascii_digit) => {
            let value = decimal(content)?;
            out.push(PINCODE);
            out.extend_from_slice(&value.to_le_bytes()[..3]);
        }
        [given @ .., b' ', initial @ b'A'..=b'Z', b'.'] => {
            let number = phrases::word(given)?;
            out.push(NAME);
            phrases::put_part(out, number);
            out.push(*initial);
        }
        [stem @ .., b'_', y0, y1, y2, y3, b'_', m0, m1] => {
            let month = two(*m0, *m1).filter(|month| (1..=12).contains(month))?;
            put_dated(out, stem, [*y0, *y1, *y2, *y3], Some(month))?;
        }
        [stem @ .., b'_', y0, y1, y2, y3] => put_dated(out, stem, [*y0, *y1, *y2, *y3], None)?,
        _ => return slug::put_uuid(out, content),
    }
    Some(())
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
}

/// Appends the number of the stem, the years since 2000, and the month; the year's upper bit says that there is one.
fn put_dated(out: &mut Vec<u8>, stem: &[u8], year: [u8; 4], month: Option<u8>) -> Option<()> {
    let [b'2', b'0', tens, ones] = year else { return None };
    let year = two(tens, ones)?;
    let number = phrases::word(stem)?;
    out.push(DATED);
    phrases::put_part(out, number);
    match month {
        None => out.push(year),
        Some(month) => out.extend_from_slice(&[year | 0x80, month]),
    }
    Some(())
}

/// Reads a bare text.
pub(super) fn take_bare<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (code, mut rest) = take_byte(input)?;
    if !(INTEGER..=INTEGER_END).contains(&code) {
        return take_content(code, rest, out);
    }
    out.push_str(EVENT_PREFIXES.get(usize::from(code - INTEGER))?);
    for _ in 0..2 {
        let (value, behind) = take_varint(rest)?;
        rest = behind;
        out.push('-');
        digits::push_number(out, value);
    }
    Some(rest)
}

/// Appends the content of the string whose code was read.
pub(super) fn take_content<'i>(code: u8, input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    match code {
        0..=LONG_PHRASE_END => {
            let (phrase, rest) = phrases::take(code, input)?;
            out.push_str(phrases::content(phrase)?);
            Some(rest)
        }
        TEXT => {
            let (content, rest) = take_counted(input)?;
            push_utf8(out, content)?;
            Some(rest)
        }
        SLUG => slug::take(input, out),
        TOKEN => {
            out.push_str(TOKEN_PREFIX);
            slug::take(input, out)
        }
        DATE..=INSTANT_END => calendar::take(code, input, out),
        UUID => slug::take_uuid(input, out),
        DATED => take_dated(input, out),
        PINCODE => {
            let ([a, b, c], rest) = input.split_first_chunk()?;
            digits::push_number(out, u64::from(u32::from_le_bytes([*a, *b, *c, 0])));
            Some(rest)
        }
        NAME => {
            let (given, rest) = phrases::take_part(input)?;
            let (initial, rest) = take_byte(rest)?;
            out.push_str(given);
            out.push(' ');
            out.push(initial.is_ascii_uppercase().then_some(char::from(initial))?);
            out.push('.');
            Some(rest)
        }
        _ => None,
    }
}

fn take_dated<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (stem, rest) = phrases::take_part(input)?;
    let (year, rest) = take_byte(rest)?;
    out.push_str(stem);
    out.push_str("_20");
    out.push_str(digits::pair(usize::from(year & 0x7f)));
    if year < 0x80 {
        return Some(rest);
    }
    let (month, rest) = take_byte(rest)?;
    out.push('_');
    out.push_str(digits::pair(usize::from(month)));
    Some(rest)
}
