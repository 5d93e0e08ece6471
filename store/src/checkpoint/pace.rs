//! The speed of a checkpoint.

use std::thread;
use std::time::{Duration, Instant};

/// Minimum speed of a checkpoint, unless the configuration sets a lower bound.
const MIN_USERS_PER_SECOND: f64 = 5_000.0;

/// Spreads a checkpoint over half of the interval, so that it does not occupy the disk and a core.
pub(super) struct Pace {
    start: Instant,
    users_per_second: f64,
}

impl Pace {
    /// Returns the pace for `users` users; `bound` is the configured maximum per second, 0 for none.
    pub(super) fn new(users: usize, interval: Duration, bound: u32) -> Self {
        let relaxed = users as f64 / (interval.as_secs_f64() / 2.0).max(0.001);
        let bound = if bound == 0 { f64::INFINITY } else { f64::from(bound) };
        let users_per_second = relaxed.max(MIN_USERS_PER_SECOND).min(bound);
        Self { start: Instant::now(), users_per_second }
    }

    /// Sleeps until `done` users are due.
    pub(super) fn pause(&self, done: usize) {
        let due = Duration::from_secs_f64(done as f64 / self.users_per_second);
        thread::sleep(due.saturating_sub(self.start.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_zero_is_no_bound() {
        let pace = |users, bound| Pace::new(users, Duration::from_secs(60), bound).users_per_second;
        assert_eq!(pace(3_000_000, 0), 100_000.0);
        assert_eq!(pace(3_000_000, 50_000), 50_000.0);
        assert_eq!(pace(30, 0), MIN_USERS_PER_SECOND);
        assert_eq!(pace(30, 10), 10.0);
    }
}
