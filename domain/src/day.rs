//! The calendar day that every time-derived value is a function of.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::civil;

const DAY_S: i64 = 86_400;

/// A calendar day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// Returns the day that `micros` since the Unix epoch falls on in `zone`.
    pub fn at(micros: i64, zone: &TimeZone) -> Self {
        // A time zone cannot be applied to the last hours of the year 9999.
        let nearest = if micros > 0 { Timestamp::MAX } else { Timestamp::MIN };
        let instant = Timestamp::from_microsecond(micros).unwrap_or(nearest);
        let offset = i64::from(zone.to_offset(instant).seconds());
        Self((instant.as_second() + offset).div_euclid(DAY_S) as i32)
    }

    /// Returns the day in UTC that `micros` since the Unix epoch falls on.
    pub(crate) fn in_utc(micros: i64) -> Self {
        Self(micros.div_euclid(DAY_S * 1_000_000) as i32)
    }

    /// Returns the day of a civil date.
    pub fn from_date(date: Date) -> Self {
        let epoch = Date::constant(1970, 1, 1);
        Self(i32::try_from(date.duration_since(epoch).as_hours() / 24).unwrap_or(0))
    }

    /// Parses `YYYY-MM-DD`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        civil::parse(text.as_bytes()).map(|day| Self(day as i32))
    }

    /// Appends `YYYY-MM-DD`. Later or earlier days than those of the years 0 to 9999 are the last or the first of them.
    pub(crate) fn push(self, out: &mut String) {
        let day = i64::from(self.0).clamp(*civil::DAYS.start(), *civil::DAYS.end());
        let _ = civil::push(out, day);
    }

    /// Returns the civil date.
    pub fn to_date(self) -> Date {
        Date::constant(1970, 1, 1).saturating_add(SignedDuration::from_hours(i64::from(self.0) * 24))
    }

    /// Returns when the day begins in `zone`, in microseconds since the Unix epoch.
    pub fn start(self, zone: &TimeZone) -> i64 {
        zone.to_timestamp(self.to_date().at(0, 0, 0, 0)).map_or(0, Timestamp::as_microsecond)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::with_capacity(10);
        self.push(&mut text);
        f.write_str(&text)
    }
}

/// Formats an instant as RFC 3339 in UTC, with no more decimals than it needs. It must be of the years 0 to 9999; of others,
/// the nearest that can be written is.
pub fn format_instant(micros: i64) -> String {
    let mut text = String::with_capacity(27);
    if civil::push_instant(&mut text, micros).is_none() {
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        text = format!("{}Z", epoch.saturating_add(SignedDuration::from_micros(micros)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_turns_at_midnight_in_the_zone() {
        let zone = TimeZone::get("Asia/Kolkata").expect("the zone is bundled");
        let before = "2026-01-20T18:29:59.999999Z".parse::<Timestamp>().expect("a time").as_microsecond();
        let day = Day::parse("2026-01-20").expect("a day");
        assert_eq!((Day::at(before, &zone), Day::at(before + 1, &zone)), (day, Day(day.0 + 1)));
        assert_eq!(Day(day.0 + 1).start(&zone), before + 1);
        assert_eq!(day.to_string(), "2026-01-20");
        assert_eq!(Day::parse("2026-1-20"), None);
        assert_eq!(Day::parse("1969-12-31"), Some(Day(-1)));
        assert_eq!(format_instant(before + 1), "2026-01-20T18:30:00Z");
        assert_eq!(format_instant(before), "2026-01-20T18:29:59.999999Z");
        let last = 253_402_300_799_000_000;
        assert_eq!(format_instant(last), "9999-12-31T23:59:59Z");
        assert!(Day::at(last, &zone) >= Day::parse("9999-12-31").expect("a day"));
    }
}
