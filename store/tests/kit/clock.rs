//! A wall clock that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::port::clock::Clock;

/// Microseconds of a day.
pub(crate) const DAY: i64 = 24 * 3600 * 1_000_000;

/// A clock that stands still until a test moves it.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    /// Shows the start of a day since the Unix epoch.
    pub(crate) fn at_day(day: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(day * DAY)))
    }

    /// Shows a time in microseconds since the Unix epoch.
    pub(crate) fn at(micros: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(micros)))
    }

    /// Shows the system's time, which files have.
    #[expect(clippy::disallowed_methods, reason = "files have the time of the system's clock")]
    pub(crate) fn at_system_time() -> Arc<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date").as_micros() as i64;
        Arc::new(Self(AtomicI64::new(now)))
    }

    pub(crate) fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
