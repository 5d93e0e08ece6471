//! Contents of strings, and bare texts such as ids.

use super::bytes::{put_varint, take, take_array, take_byte, take_length, take_varint};
use super::codes::{
    DATE, DATED, INSTANT_END, INTEGER, INTEGER_END, LONG_PHRASE_END, NAME, PINCODE, SLUG, TEXT, TOKEN, UUID,
};
use super::{calendar, phrases, slug};
use crate::record::codec::DecodeError;

const UNKNOWN: DecodeError = DecodeError::Unknown { what: "text" };
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
pub(super) fn take_bare(input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    let code = take_byte(input)?;
    let Some(at @ 0..=0x1f) = code.checked_sub(INTEGER) else { return take_content(code, input, out) };
    out.push_str(EVENT_PREFIXES.get(usize::from(at)).ok_or(UNKNOWN)?);
    for _ in 0..2 {
        out.push('-');
        push_decimal(out, take_varint(input)?);
    }
    Ok(())
}

fn push_decimal(out: &mut String, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    digits[at..].iter().for_each(|digit| out.push(char::from(*digit)));
}

/// Appends the content of the string whose code was read.
pub(super) fn take_content(code: u8, input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    match code {
        0..=LONG_PHRASE_END => {
            out.push_str(phrases::content(phrases::take(code, input)?).ok_or(UNKNOWN)?);
        }
        TEXT => {
            let length = take_length(input)?;
            push_utf8(out, take(input, length)?)?;
        }
        SLUG => slug::take(input, out)?,
        TOKEN => {
            out.push_str(TOKEN_PREFIX);
            slug::take(input, out)?;
        }
        DATE..=INSTANT_END => calendar::take(code, input, out)?,
        UUID => slug::take_uuid(input, out)?,
        DATED => {
            out.push_str(phrases::take_part(input)?);
            let year = take_byte(input)?;
            let month = if year >= 0x80 { Some(take_byte(input)?) } else { None };
            if year & 0x7f > 99 || month.is_some_and(|month| !(1..=12).contains(&month)) {
                return Err(UNKNOWN);
            }
            out.push_str("_20");
            push_two(out, year & 0x7f);
            if let Some(month) = month {
                out.push('_');
                push_two(out, month);
            }
        }
        PINCODE => {
            let [a, b, c] = take_array(input)?;
            push_decimal(out, u64::from(u32::from_le_bytes([a, b, c, 0])));
        }
        NAME => {
            out.push_str(phrases::take_part(input)?);
            out.push(' ');
            out.push(char::from(take_byte(input)? & 0x7f));
            out.push('.');
        }
        _ => return Err(UNKNOWN),
    }
    Ok(())
}

fn push_two(out: &mut String, value: u8) {
    out.push(char::from(b'0' + value / 10));
    out.push(char::from(b'0' + value % 10));
}

pub(super) fn push_utf8(out: &mut String, bytes: &[u8]) -> Result<(), DecodeError> {
    out.push_str(std::str::from_utf8(bytes).map_err(|_| DecodeError::Unknown { what: "text encoding" })?);
    Ok(())
}

/// Passes over a bare text.
pub(super) fn skip_bare(input: &mut &[u8]) -> Result<(), DecodeError> {
    match take_byte(input)? {
        INTEGER..=INTEGER_END => take_varint(input).and_then(|_| take_varint(input)).map(drop),
        code => skip_content(code, input),
    }
}

/// Passes over the string whose code was read.
pub(super) fn skip_content(code: u8, input: &mut &[u8]) -> Result<(), DecodeError> {
    let length = match code {
        0..0x80 => 0,
        0x80..=LONG_PHRASE_END => 1,
        TEXT => take_length(input)?,
        SLUG | TOKEN => slug::packed_length(take_length(input)?),
        DATE..=INSTANT_END => {
            take_varint(input)?;
            0
        }
        UUID => 16,
        DATED => {
            take_varint(input)?;
            usize::from(take_byte(input)? >= 0x80)
        }
        PINCODE => 3,
        NAME => {
            take_varint(input)?;
            1
        }
        _ => return Err(UNKNOWN),
    };
    take(input, length).map(drop)
}
