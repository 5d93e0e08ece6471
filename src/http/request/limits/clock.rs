//! The clock of all windows. It only goes forward, so a jump of the wall clock changes nothing.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the time in microseconds.
pub(crate) fn now() -> u64 {
    micros(START.elapsed())
}

/// Returns the time at a moment, in microseconds.
pub(super) fn at(moment: Instant) -> u64 {
    micros(moment.saturating_duration_since(*START))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
