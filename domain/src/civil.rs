//! Dates as text, in the proleptic Gregorian calendar: `YYYY-MM-DD` for the years 0 to 9999.
//!
//! Written by hand and not with jiff, because dates are parsed and written with every event.

/// 0000-01-01 and 9999-12-31, as days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;

/// Parses `YYYY-MM-DD` into days since 1970-01-01; `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes().first_chunk::<10>()? else { return None };
    let two = |tens: u8, ones: u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i32::from(tens) * 10 + i32::from(ones))
    };
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (text.len() == 10 && (1..=last).contains(&day)).then(|| days(year, month, day))
}

/// Counts days since 1970-01-01, in years that begin in March.
fn days(year: i32, month: i32, day: i32) -> i32 {
    let year = year - i32::from(month < 3);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// Returns the date of a number of days since 1970-01-01; `None` outside of the years 0 to 9999.
pub(crate) fn date(days: i32) -> Option<[u8; 10]> {
    DAYS.contains(&days).then(|| {
        let since = days + 719_468;
        let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + i32::from(month < 3);
        let two = |value: i32| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        let (y, z, m) = (two(year / 100), two(year % 100), two(month));
        let d = two(of_year - (153 * from_march + 2) / 5 + 1);
        [y[0], y[1], z[0], z[1], b'-', m[0], m[1], b'-', d[0], d[1]]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_that_of_jiff() {
        let mut day = jiff::civil::date(0, 1, 1);
        for number in DAYS {
            let text = date(number).expect("a year from 0 to 9999");
            let text = std::str::from_utf8(&text).expect("digits");
            assert_eq!((text, parse(text)), (&*day.to_string(), Some(number)));
            day = day.tomorrow().unwrap_or(day);
        }
        assert_eq!((date(DAYS.start() - 1), date(DAYS.end() + 1)), (None, None));
        for text in
            ["2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-1", "2026-01-011", "2026/01/01", ""]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
