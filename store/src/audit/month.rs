//! Calendar months in UTC. A segment holds the entries of one.

use std::fmt;

use domain::day::format_instant;
use domain::event::time::parse_micros;

/// A month of the years 0 to 9999, counted from January of the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Month(u32);

impl Month {
    /// Returns the month of an instant in microseconds since the Unix epoch.
    pub(super) fn at(micros: i64) -> Self {
        // An instant is formatted within the years 0 to 9999.
        Self::parse(&format_instant(micros)[..7]).unwrap_or(Self(0))
    }

    /// Parses `YYYY-MM`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok())?;
        let month = digits(month).filter(|month| (1..=12).contains(month))?;
        Some(Self(digits(year)? * 12 + month - 1))
    }

    /// Returns the next month.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the first instant of the month, in microseconds since the Unix epoch.
    pub(super) fn start(self) -> i64 {
        parse_micros(&format!("{self}-01T00:00:00Z")).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_that_of_the_instant_in_utc() {
        for (micros, month) in [(0, "1970-01"), (-1, "1969-12"), (1_796_054_400_000_000, "2026-11")] {
            assert_eq!(Month::at(micros).to_string(), month);
            assert_eq!(Month::parse(month), Some(Month::at(micros)));
            let month = Month::at(micros);
            assert!((month.start()..month.next().start()).contains(&micros));
        }
        assert_eq!(Month::parse("2026-12").map(Month::next), Month::parse("2027-01"));
        for bad in ["2026-13", "2026-00", "2026-1", "26-01", "2026-+1", "2026", ""] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
    }
}
