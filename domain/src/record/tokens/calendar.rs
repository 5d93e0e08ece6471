//! Dates and instants as numbers.

use super::bytes::{put_signed, take_signed};
use super::codes::{DATE, INSTANT};
use crate::civil;

/// What stands before a date. Append-only: stored bytes name a prefix by its position.
pub(super) const PREFIXES: [&str; 4] = ["", "verified_", "synced_", "computed_"];

/// 2026-01-01, in days since 1970-01-01: numbers near it are short.
const NEAR: i64 = 20_454;
const DAY_S: i64 = 86_400;
/// The units of instants, by code: how many there are in a second.
const UNITS: [i64; 3] = [1, 1_000, 1_000_000];

/// Appends a date or an instant; returns `false` if the text is none that can be written back alike.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) -> bool {
    match text.len() {
        10 => put_date(out, 0, text),
        17 | 19 => (1..PREFIXES.len()).any(|kind| {
            text.strip_prefix(PREFIXES[kind].as_bytes()).is_some_and(|date| put_date(out, kind as u8, date))
        }),
        20 | 22..=27 => put_instant(out, text).is_some(),
        _ => false,
    }
}

fn put_date(out: &mut Vec<u8>, kind: u8, text: &[u8]) -> bool {
    let Some(day) = civil::parse(text) else { return false };
    out.push(DATE + kind);
    put_signed(out, day - NEAR);
    true
}

fn put_instant(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let (seconds, fraction) = text.split_at_checked(19)?;
    let (date, time) = seconds.split_at(10);
    let [b'T', h0, h1, b':', m0, m1, b':', s0, s1] = *time.first_chunk::<9>()? else { return None };
    let (hour, minute, second) = (two(h0, h1)?, two(m0, m1)?, two(s0, s1)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (civil::parse(date)? - NEAR) * DAY_S + hour * 3_600 + minute * 60 + second;
    let digits = match fraction {
        [b'Z'] => &[],
        [b'.', digits @ .., b'Z'] if digits.last() != Some(&b'0') => digits,
        _ => return None,
    };
    let unit = digits.len().div_ceil(3);
    let mut fraction = 0;
    for place in 0..unit * 3 {
        fraction = fraction * 10 + digits.get(place).map_or(Some(0), |digit| one(*digit))?;
    }
    out.push(INSTANT + unit as u8);
    put_signed(out, seconds * UNITS[unit] + fraction);
    Some(())
}

fn one(digit: u8) -> Option<i64> {
    let value = digit.wrapping_sub(b'0');
    (value < 10).then_some(i64::from(value))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    Some(one(tens)? * 10 + one(ones)?)
}

/// Appends the date or the instant whose code was read.
pub(super) fn take<'i>(code: u8, input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (value, rest) = take_signed(input)?;
    let Some(unit) = code.checked_sub(INSTANT) else {
        out.push_str(PREFIXES[usize::from(code - DATE) % PREFIXES.len()]);
        civil::push(out, value.checked_add(NEAR)?)?;
        return Some(rest);
    };
    let unit_micros = UNITS[2] / UNITS[usize::from(unit) % UNITS.len()];
    civil::push_instant(out, value.checked_mul(unit_micros)?.checked_add(NEAR * DAY_S * UNITS[2])?)?;
    Some(rest)
}

/// Appends the date without a prefix whose code was read, in quotes.
pub(super) fn take_quoted<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (value, rest) = take_signed(input)?;
    let day = value.checked_add(NEAR)?;
    match civil::quoted(day) {
        Some(quoted) => out.push_str(quoted),
        None => {
            out.push('"');
            civil::push(out, day)?;
            out.push('"');
        }
    }
    Some(rest)
}
