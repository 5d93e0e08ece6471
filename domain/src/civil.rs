//! Dates as text, in the proleptic Gregorian calendar: `YYYY-MM-DD` for the years 0 to 9999.
//!
//! Written by hand and not with jiff, because dates are parsed and written with every event.

use crate::digits::pair;

const DAY_MICROS: i64 = 86_400_000_000;

/// 0000-01-01 and 9999-12-31, as days since 1970-01-01.
pub(crate) const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// Parses `YYYY-MM-DD` into days since 1970-01-01; `None` for anything else.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.first_chunk::<10>()? else { return None };
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (text.len() == 10 && (1..=last).contains(&day)).then(|| days(year, month, day))
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// Counts days since 1970-01-01, in years that begin in March: the year 0 begins in that of -1.
fn days(year: u32, month: u32, day: u32) -> i64 {
    let year = year + 400 - u32::from(month < 3);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    i64::from(year * 365 + year / 4 - year / 100 + year / 400 + of_year) - 719_468 - 146_097
}

/// Returns the date of a number of days since 1970-01-01, which must be within [`DAYS`].
const fn date(days: i64) -> [u8; 10] {
    let since = days + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + (month < 3) as i64;
    let (y, z, m) = (two_digits(year / 100), two_digits(year % 100), two_digits(month));
    let d = two_digits(of_year - (153 * from_march + 2) / 5 + 1);
    [y[0], y[1], z[0], z[1], b'-', m[0], m[1], b'-', d[0], d[1]]
}

const fn two_digits(value: i64) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// The dates of 2020 to 2039 in quotes, in a row: most dates are copied from here.
static TABLE: &str = match std::str::from_utf8(&TABLE_BYTES) {
    Ok(text) => text,
    Err(_) => panic!("digits are text"),
};
static TABLE_BYTES: [u8; TABLE_DAYS * QUOTED] = table();
const TABLE_DAYS: usize = 7_305;
/// The length of a date in quotes.
const QUOTED: usize = 12;
const TABLE_START: i64 = 18_262;

const fn table() -> [u8; TABLE_DAYS * QUOTED] {
    let mut table = [b'"'; TABLE_DAYS * QUOTED];
    let mut day = 0;
    while day < TABLE_DAYS {
        let text = date(TABLE_START + day as i64);
        let mut at = 0;
        while at < text.len() {
            table[day * QUOTED + 1 + at] = text[at];
            at += 1;
        }
        day += 1;
    }
    table
}

/// Returns the date in quotes; `None` if it is not among those that are made when the crate is compiled.
pub(crate) fn quoted(days: i64) -> Option<&'static str> {
    let position = days.wrapping_sub(TABLE_START) as u64 as usize;
    if position < TABLE_DAYS { TABLE.get(position * QUOTED..(position + 1) * QUOTED) } else { None }
}

/// Appends the date of a number of days since 1970-01-01; returns `None` if it is not within [`DAYS`].
pub(crate) fn push(out: &mut String, days: i64) -> Option<()> {
    if let Some(quoted) = quoted(days) {
        out.push_str(quoted.get(1..QUOTED - 1)?);
        return Some(());
    }
    let text = DAYS.contains(&days).then(|| date(days))?;
    out.push_str(std::str::from_utf8(&text).ok()?);
    Some(())
}

/// Appends an instant, in microseconds since 1970-01-01, as RFC 3339 in UTC with no more decimals than it needs; returns
/// `None` if its day is not within [`DAYS`].
pub(crate) fn push_instant(out: &mut String, micros: i64) -> Option<()> {
    push(out, micros.div_euclid(DAY_MICROS))?;
    let of_day = micros.rem_euclid(DAY_MICROS) as usize;
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    for (before, value) in ["T", ":", ":"].into_iter().zip([seconds / 3_600, seconds / 60 % 60, seconds % 60]) {
        out.push_str(before);
        out.push_str(pair(value));
    }
    if micros != 0 {
        out.push('.');
        for value in [micros / 10_000, micros / 100 % 100, micros % 100] {
            out.push_str(pair(value));
        }
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('Z');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix64;

    #[test]
    fn instants_are_those_of_jiff() {
        let mut seed = 7;
        for unit in [1, 1_000, 1_000_000, 60_000_000] {
            for _ in 0..10_000 {
                // 1901 to 2038.
                let micros = i64::from(splitmix64::next(&mut seed) as i32) * 1_000_000
                    + (splitmix64::next(&mut seed) % 1_000_000) as i64;
                let micros = micros / unit * unit;
                let expected = jiff::Timestamp::from_microsecond(micros).expect("it is in range").to_string();
                let mut text = String::new();
                assert_eq!((push_instant(&mut text, micros), text), (Some(()), expected));
            }
        }
    }

    #[test]
    fn every_day_is_that_of_jiff() {
        let mut day = jiff::civil::date(0, 1, 1);
        for number in DAYS {
            let text = date(number);
            assert_eq!(parse(&text), Some(number));
            let mut pushed = String::new();
            assert_eq!(push(&mut pushed, number), Some(()));
            assert_eq!((std::str::from_utf8(&text), pushed), (Ok(&*day.to_string()), day.to_string()));
            day = day.tomorrow().unwrap_or(day);
        }
        assert_eq!(
            (push(&mut String::new(), DAYS.start() - 1), push(&mut String::new(), DAYS.end() + 1)),
            (None, None)
        );
        for text in
            ["2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-1", "2026-01-011", "2026/01/01", ""]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
