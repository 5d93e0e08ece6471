//! The calendar day now, without asking the time zone at each read.

use arc_swap::ArcSwap;
use domain::day::Day;
use jiff::tz::TimeZone;

/// The day of an instant in one zone; the last answer's midnights are remembered.
#[derive(Debug)]
pub(crate) struct Today {
    zone: TimeZone,
    known: ArcSwap<Known>,
}

#[derive(Debug)]
struct Known {
    day: Day,
    starts: i64,
    ends: i64,
}

impl Today {
    pub(crate) fn new(zone: TimeZone, now_micros: i64) -> Self {
        let known = ArcSwap::from_pointee(Known::of(now_micros, &zone));
        Self { zone, known }
    }

    /// The day at `now_micros` since the Unix epoch.
    pub(crate) fn day(&self, now_micros: i64) -> Day {
        let known = self.known.load();
        if (known.starts..known.ends).contains(&now_micros) {
            return known.day;
        }
        let known = Known::of(now_micros, &self.zone);
        let day = known.day;
        self.known.store(known.into());
        day
    }
}

impl Known {
    fn of(now_micros: i64, zone: &TimeZone) -> Self {
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
