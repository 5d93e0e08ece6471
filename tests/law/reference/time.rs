//! Times: microseconds since the Unix epoch, in UTC.

use jiff::Timestamp;
use jiff::civil::Date;

use super::Fixture;

/// Returns the microsecond that an RFC 3339 text falls into.
pub(crate) fn micros(text: &str) -> i64 {
    let time: Timestamp = text.parse().expect("RFC 3339");
    time.as_nanosecond().div_euclid(1_000).try_into().expect("within range")
}

/// Returns the day that a time falls on in the configured zone.
pub(crate) fn local_date(micros: i64, fixture: &Fixture) -> Date {
    Timestamp::from_microsecond(micros).expect("within range").to_zoned(fixture.zone.clone()).date()
}

/// Formats the time by RFC 3339 in UTC with the shortest fraction, or none if it is zero.
pub(crate) fn rfc_3339(micros: i64) -> String {
    let seconds = Timestamp::from_second(micros.div_euclid(1_000_000)).expect("within range");
    let whole = seconds.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = format!("{:06}", micros.rem_euclid(1_000_000));
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}Z"),
        digits => format!("{whole}.{digits}Z"),
    }
}
