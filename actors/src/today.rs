//! The calendar day of now, without a time zone calculation at each read.

use arc_swap::ArcSwap;
use domain::day::Day;
use jiff::tz::TimeZone;

/// Calculates the day of an instant in one time zone. It keeps the last result until the day ends.
#[derive(Debug)]
pub(crate) struct Today {
    zone: TimeZone,
    last: ArcSwap<DaySpan>,
}

#[derive(Debug)]
/// A day, and the instants at which it starts and ends, in microseconds since the Unix epoch.
struct DaySpan {
    day: Day,
    starts: i64,
    ends: i64,
}

impl Today {
    /// Returns a calendar in `zone`.
    pub(crate) fn new(zone: TimeZone, now_micros: i64) -> Self {
        let last = ArcSwap::from_pointee(DaySpan::at(now_micros, &zone));
        Self { zone, last }
    }

    /// Returns the day at `now_micros` microseconds since the Unix epoch.
    pub(crate) fn day(&self, now_micros: i64) -> Day {
        let span = self.last.load();
        if (span.starts..span.ends).contains(&now_micros) {
            return span.day;
        }
        let span = DaySpan::at(now_micros, &self.zone);
        let day = span.day;
        self.last.store(span.into());
        day
    }
}

impl DaySpan {
    fn at(now_micros: i64, zone: &TimeZone) -> Self {
        let day = Day::at(now_micros, zone);
        Self { day, starts: day.start(zone), ends: Day(day.0 + 1).start(zone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_turns_at_midnight_and_back_with_the_clock() {
        let zone = TimeZone::get("Asia/Kolkata").expect("the zone is bundled");
        let day = Day::parse("2026-01-20").expect("a day");
        let midnight = Day(day.0 + 1).start(&zone);
        let today = Today::new(zone, midnight - 1);
        assert_eq!(today.day(midnight - 1), day);
        assert_eq!(today.day(midnight), Day(day.0 + 1));
        assert_eq!(today.day(midnight - 1), day);
    }
}
