//! The wall clock, for the times of events.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the current time in microseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a generator has no port to get the clock from")]
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Formats microseconds since the Unix epoch as RFC 3339, with six digits.
pub(crate) fn rfc3339(micros: i64) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(micros).unwrap_or_default())
}
