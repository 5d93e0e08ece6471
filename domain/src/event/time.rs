//! RFC 3339 times: the one parser for every input that is documented as RFC 3339.

use jiff::civil::Date;

use crate::day::Day;

/// 2000-01-01T00:00:00Z: no observation is older.
pub(crate) const YEAR_2000: i64 = 946_684_800_000_000;

const MICROS: i64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// 0000-01-01T00:00:00Z, in seconds: RFC 3339 has no earlier year.
const FIRST_SECOND: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, in seconds: RFC 3339 has no later year.
const LAST_SECOND: i64 = 253_402_300_799;

/// Microseconds since the Unix epoch of an RFC 3339 `date-time`; `None` for anything else.
///
/// A fraction of a second may have any number of digits; digits after the sixth are dropped, not rounded.
///
/// Second 60 is accepted where RFC 3339, section 5.7, allows a leap second: at 23:59:60 UTC on the last day of a month.
/// Unix time has no such second. Every instant within it becomes the last microsecond of the second before, so that it
/// sorts after 23:59:59.9 and before midnight. Two instants within one leap second become equal.
///
/// An instant whose year in UTC is not 0000 to 9999 could not be written as RFC 3339 again and is `None`.
#[must_use]
pub fn parse_micros(text: &str) -> Option<i64> {
    let (date_time, rest) = text.as_bytes().split_at_checked(19)?;
    let (fraction, zone) = fraction(rest)?;
    let offset = offset(zone)?;
    let [year, month, day, hour, minute, second] = fields(date_time)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let of_day = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second.min(59));
    let instant = i64::from(Day::from_date(date).0) * DAY_S + of_day - offset;
    if !(FIRST_SECOND..=LAST_SECOND).contains(&instant) {
        return None;
    }
    match second {
        60 if !ends_month(instant) => None,
        60 => Some(instant * MICROS + MICROS - 1),
        _ => Some(instant * MICROS + fraction),
    }
}

/// Returns the year, month, day, hour, minute and second of `YYYY-MM-DDThh:mm:ss`.
fn fields(text: &[u8]) -> Option<[i16; 6]> {
    let fits = text.iter().zip(b"0000-00-00T00:00:00").all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        other => byte == other,
    });
    let number = |from: usize, to: usize| text[from..to].iter().fold(0, |sum, byte| sum * 10 + i16::from(byte - b'0'));
    fits.then(|| [number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)])
}

/// Returns the fraction in microseconds, and the text after it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(tail) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, zone) = tail.split_at(length);
    let kept = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    (length > 0).then(|| (kept.fold(0, |micros, byte| micros * 10 + i64::from(byte - b'0')), zone))
}

/// Returns the zone's offset from UTC in seconds.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) => {
            let number = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (number(h1, h2), number(m1, m2));
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Returns whether the second that begins at `instant` is the last ordinary one of a month in UTC.
fn ends_month(instant: i64) -> bool {
    let next = instant + 1;
    let day = i32::try_from(next.div_euclid(DAY_S)).map(|day| Day(day).to_date().day());
    // The last second of the year 9999 has no next day in the calendar, but ends a month.
    next.rem_euclid(DAY_S) == 0 && (instant == LAST_SECOND || day == Ok(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::format_instant;

    #[test]
    fn the_forms_of_rfc_3339_are_read_to_the_microsecond() {
        assert_eq!(parse_micros("2000-01-01T00:00:00Z"), Some(YEAR_2000));
        assert_eq!(parse_micros("2000-01-01t05:30:00.5+05:30"), Some(YEAR_2000 + 500_000));
        assert_eq!(parse_micros("1999-12-31T23:59:59.1234569-00:00"), Some(YEAR_2000 - 876_544));
        assert_eq!(parse_micros("1969-12-31T23:59:59.9999999Z"), Some(-1));
        for (text, expected) in [
            ("2026-01-10T06:00:00.999999999999999Z", "2026-01-10T06:00:00.999999Z"),
            ("2026-01-10T06:00:00.0000000000Z", "2026-01-10T06:00:00Z"),
            ("1985-04-12T00:59:59.999999999999999Z", "1985-04-12T00:59:59.999999Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("0000-01-01T05:30:00.25+05:30", "0000-01-01T00:00:00.25Z"),
            ("2024-02-29T23:59:59+23:59", "2024-02-29T00:00:59Z"),
        ] {
            assert_eq!(parse_micros(text).map(format_instant).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_leap_second_stands_between_its_neighbours() {
        for text in [
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.5Z",
            "2017-01-01T05:29:60+05:30",
            "1990-12-31T15:59:60-08:00",
            "2026-01-31T23:59:60Z",
            "2024-02-29T23:59:60Z",
            "9999-12-31T23:59:60Z",
        ] {
            assert!(parse_micros(text).is_some_and(|micros| micros.rem_euclid(1_000_000) == 999_999), "{text}");
        }
        for text in [
            "2026-01-10T12:34:60Z",
            "2016-12-31T22:59:60Z",
            "1998-12-31T23:58:60Z",
            "1998-12-31T22:59:60Z",
            "2016-12-30T23:59:60Z",
            "2016-12-31T23:59:60+05:30",
            "2023-02-28T23:59:61Z",
            "2024-02-28T23:59:60Z",
        ] {
            assert_eq!(parse_micros(text), None, "{text}");
        }
        let in_order = ["2016-12-31T23:59:59.900000Z", "2016-12-31T23:59:60.500000Z", "2017-01-01T00:00:00Z"];
        assert!(in_order.map(parse_micros).is_sorted_by(|first, second| first < second));
    }

    #[test]
    fn other_forms_are_not() {
        for bad in [
            "",
            "2026-01-10",
            "2026-01-10T06:00:00",
            "2026-01-10 06:00:00Z",
            "2026-01-10T06:00Z",
            "2026-01-10T06:00:00.Z",
            "2026-01-10T06:00:00.1",
            "2026-01-10T06:00:00,1Z",
            "2026-01-10T06:00:00+0530",
            "2026-01-10T06:00:00+05:30[Asia/Kolkata]",
            "2026-01-10T06:00:00+24:00",
            "2026-01-10T06:00:00+05:60",
            "2026-02-29T06:00:00Z",
            "2026-13-01T06:00:00Z",
            "2026-00-01T06:00:00Z",
            "2026-01-00T06:00:00Z",
            "2026-01-10T24:00:00Z",
            "2026-01-10T23:60:00Z",
            "20260110T060000Z",
            "２026-01-10T06:00:00Z",
            "9999-12-31T23:59:59-23:00",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(parse_micros(bad), None, "{bad}");
        }
    }
}
