//! Dates and instants as numbers.

use super::bytes::{put_signed, take_signed};
use super::codes::{DATE, INSTANT};
use crate::record::codec::DecodeError;

/// What stands before a date. Append-only: stored bytes name a prefix by its position.
pub(super) const PREFIXES: [&str; 4] = ["", "verified_", "synced_", "computed_"];

/// 2026-01-01, in days since 1970-01-01: numbers near it are short.
const NEAR: i64 = 20_454;
const DAY_S: i64 = 86_400;
/// 0000-01-01 and 9999-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;
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
    let Some(day) = parse_date(text) else { return false };
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
    let seconds = (parse_date(date)? - NEAR) * DAY_S + hour * 3_600 + minute * 60 + second;
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

/// Parses `YYYY-MM-DD` into days since 1970-01-01.
fn parse_date(text: &[u8]) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.first_chunk::<10>()? else { return None };
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (text.len() == 10 && (1..=last).contains(&day)).then(|| days(year, month, day))
}

/// Counts days since 1970-01-01 in the proleptic Gregorian calendar, in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month < 3);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// Appends the date or the instant whose code was read.
pub(super) fn take(code: u8, input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    const UNKNOWN: DecodeError = DecodeError::Unknown { what: "date" };
    let value = take_signed(input)?;
    let Some(unit) = code.checked_sub(INSTANT) else {
        let day = value.checked_add(NEAR).filter(|day| DAYS.contains(day)).ok_or(UNKNOWN)?;
        out.push_str(PREFIXES[usize::from(code - DATE) % PREFIXES.len()]);
        return write(out, &date(day));
    };
    let per_second = UNITS[usize::from(unit) % UNITS.len()];
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let day = Some(seconds.div_euclid(DAY_S) + NEAR).filter(|day| DAYS.contains(day)).ok_or(UNKNOWN)?;
    write(out, &date(day))?;
    let of_day = seconds.rem_euclid(DAY_S);
    let [[h0, h1], [m0, m1], [s0, s1]] = [of_day / 3_600, of_day / 60 % 60, of_day % 60].map(digits);
    write(out, &[b'T', h0, h1, b':', m0, m1, b':', s0, s1])?;
    if fraction != 0 {
        let micros = fraction * (UNITS[2] / per_second);
        let [[a, b], [c, d], [e, f]] = [micros / 10_000, micros / 100 % 100, micros % 100].map(digits);
        let text = [b'.', a, b, c, d, e, f];
        let zeros = text.iter().rev().take_while(|digit| **digit == b'0').count();
        write(out, &text[..text.len() - zeros])?;
    }
    out.push('Z');
    Ok(())
}

fn write(out: &mut String, text: &[u8]) -> Result<(), DecodeError> {
    out.push_str(std::str::from_utf8(text).map_err(|_| DecodeError::Unknown { what: "text encoding" })?);
    Ok(())
}

fn digits(value: i64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

fn date(day: i64) -> [u8; 10] {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month < 3);
    let [y, z] = [digits(year / 100), digits(year % 100)];
    let [m, d] = [digits(month), digits(of_year - (153 * from_march + 2) / 5 + 1)];
    [y[0], y[1], z[0], z[1], b'-', m[0], m[1], b'-', d[0], d[1]]
}
