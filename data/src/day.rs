//! Calendar days and instants in Indian Standard Time, as numbers. Dates are jiff's; the zone is a fixed offset, so that
//! none has to be looked up for each event.

use domain::day::Day as CalendarDay;
use jiff::civil::Date;

/// Microseconds of a second, a minute, an hour and a day.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Indian Standard Time is five and a half hours ahead of UTC, without summer time.
const IST: i64 = 11 * HOUR / 2;

/// A calendar day: the number of days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i32);

/// A day that every year has: month and day of the month.
pub(crate) type MonthDay = (u8, u8);

impl Day {
    /// Returns the day on which an instant falls in India.
    pub(crate) const fn from_micros(micros: i64) -> Self {
        Self((micros + IST).div_euclid(DAY) as i32)
    }

    /// Returns the day of the week, from 0 for Monday to 6 for Sunday.
    pub(crate) const fn weekday(self) -> usize {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).rem_euclid(7) as usize
    }

    /// Returns when the day begins in India, in microseconds since the Unix epoch.
    pub(crate) const fn start(self) -> i64 {
        self.0 as i64 * DAY - IST
    }

    /// Returns year, month and day of the month.
    pub(crate) fn civil(self) -> (i32, u8, u8) {
        let date = CalendarDay(self.0).to_date();
        (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    }

    /// Returns the day of a date; the last day of the year 9999 for a later one.
    pub(crate) fn from_civil(year: i32, month: u8, day: u8) -> Self {
        let date = Date::new(year as i16, month as i8, day as i8).unwrap_or(Date::MAX);
        Self(CalendarDay::from_date(date).0)
    }

    /// Returns the next occurrence of a day of the year; the day itself counts.
    pub(crate) fn next(self, (month, day): MonthDay) -> Self {
        let (year, this_month, this_day) = self.civil();
        let passed = (month, day) < (this_month, this_day);
        Self::from_civil(year + i32::from(passed), month, day)
    }

    /// Returns the day that many days later.
    pub(crate) const fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }
}

/// Reads `MM-DD`, a day that every year has; `None` for anything else.
pub(crate) fn parse_month_day(text: &str) -> Option<MonthDay> {
    let (month, day) = text.split_once('-')?;
    let (month, day): MonthDay = (month.parse().ok()?, day.parse().ok()?);
    let in_a_common_year = Date::new(2023, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    in_a_common_year.is_ok().then_some((month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for number in (-30_000..60_000).step_by(17) {
            let day = Day(number);
            let (year, month, of_month) = day.civil();
            assert_eq!(Day::from_civil(year, month, of_month), day);
            let weekday = CalendarDay(number).to_date().weekday();
            assert_eq!(day.weekday(), usize::from(weekday.to_monday_zero_offset().unsigned_abs()));
        }
    }

    #[test]
    fn the_day_turns_at_midnight_in_india_and_the_next_one_is_today_or_later() {
        let day = Day::from_civil(2026, 7, 31);
        assert_eq!((Day::from_micros(day.start()), Day::from_micros(day.start() - 1)), (day, day.plus(-1)));
        assert_eq!(day.next((7, 31)), day);
        assert_eq!(day.plus(1).next((7, 31)).civil(), (2027, 7, 31));
        assert_eq!(["07-31", "13-01", "02-29"].map(parse_month_day), [Some((7, 31)), None, None]);
    }
}
