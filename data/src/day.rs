//! Calendar days and instants in Indian Standard Time, as numbers: fast enough for millions of events a second.

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

/// A day of every year: month and day of the month.
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

    /// Returns year, month and day of the month (H. Hinnant, *chrono-compatible low-level date algorithms*).
    pub(crate) const fn civil(self) -> (i32, u8, u8) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + (month <= 2) as i32, month as u8, day as u8)
    }

    /// Returns the day of a date.
    pub(crate) const fn from_civil(year: i32, month: u8, day: u8) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let month = (month as i32 + 9) % 12;
        let of_era = year.rem_euclid(400);
        let of_year = (153 * month + 2) / 5 + day as i32 - 1;
        Self(year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
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

/// Reads `MM-DD`; `None` for anything else.
pub(crate) fn parse_month_day(text: &str) -> Option<MonthDay> {
    let (month, day) = text.split_once('-')?;
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((month, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for number in (-30_000..60_000).step_by(17) {
            let day = Day(number);
            let (year, month, of_month) = day.civil();
            let date = Date::new(year as i16, month as i8, of_month as i8).unwrap();
            assert_eq!(domain::day::Day::from_date(date).0, number);
            assert_eq!(Day::from_civil(year, month, of_month), day);
            assert_eq!(day.weekday(), usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()));
        }
    }

    #[test]
    fn the_day_turns_at_midnight_in_india_and_the_next_one_is_today_or_later() {
        let day = Day::from_civil(2026, 7, 31);
        assert_eq!((Day::from_micros(day.start()), Day::from_micros(day.start() - 1)), (day, day.plus(-1)));
        assert_eq!(day.next((7, 31)), day);
        assert_eq!(day.plus(1).next((7, 31)).civil(), (2027, 7, 31));
        assert_eq!((parse_month_day("07-31"), parse_month_day("13-01")), (Some((7, 31)), None));
    }
}
