//! Times of sample events: all of them at or before a given instant, so that none lies in the future.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil::Date};

use super::random::Random;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The time line of one user, and calendar days around its end.
#[derive(Debug)]
pub(super) struct Calendar {
    /// The latest time of any event, in microseconds since the Unix epoch.
    base: i64,
    /// When this user's first event was.
    begin: i64,
    today: Date,
}

impl Calendar {
    /// The user's first event lies in the older half of the `days` before `base`.
    pub(super) fn new(base: i64, days: u32, random: &mut Random) -> Self {
        let span = i64::from(days.max(1)) * MICROS_PER_DAY;
        let begin = base - span + random.below(span.unsigned_abs() / 2) as i64;
        Self { base, begin, today: date(base) }
    }

    /// The time of the first events: a second apart.
    pub(super) fn of_first(&self, index: usize) -> i64 {
        (self.begin + index as i64 * 1_000_000).min(self.base)
    }

    /// The time of the nth update: after the first events, strictly later than the one before while
    /// microseconds last, and never after the end.
    pub(super) fn of_update(&self, n: u64) -> i64 {
        let rest = (self.base - self.begin) / 2;
        self.base - rest / i64::try_from(n.saturating_add(1)).unwrap_or(i64::MAX)
    }

    /// The day so many days from the end, as `YYYY-MM-DD`.
    pub(super) fn day(&self, offset: i64) -> String {
        self.today.saturating_add(offset.days()).to_string()
    }

    /// The day of the user's first event, as `YYYY-MM-DD`.
    pub(super) fn first_day(&self) -> String {
        date(self.begin).to_string()
    }

    pub(super) fn year(&self) -> i16 {
        self.today.year()
    }
}

/// RFC 3339 in UTC.
pub(super) fn rfc3339(micros: i64) -> String {
    timestamp(micros).to_string()
}

fn date(micros: i64) -> Date {
    timestamp(micros).to_zoned(TimeZone::UTC).date()
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
