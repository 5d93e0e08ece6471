//! Limits how fast the messages of one socket are read.
//!
//! Some messages, such as a subscription to many users, cost the server more than the client. Beyond a burst, messages
//! are read at a steady pace, so that the sockets of one caller cannot occupy the workers. Unread messages wait in the
//! client's send buffer.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much of its allowance a socket may use at once: the bytes of one second.
const BURST: Duration = Duration::from_secs(1);

/// A rate limit in bytes, by the generic cell rate algorithm (ITU-T I.371).
pub(super) struct ReadPace {
    bytes_per_s: f64,
    /// When everything received so far would have arrived at the steady pace.
    due: Instant,
}

impl ReadPace {
    /// Returns a pace of `bytes_per_s` after the first burst.
    pub(super) fn new(bytes_per_s: usize, now: Instant) -> Self {
        Self { bytes_per_s: bytes_per_s as f64, due: now }
    }

    /// Counts bytes that were received.
    pub(super) fn count(&mut self, bytes: usize, now: Instant) {
        self.due = self.due.max(now) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_s);
    }

    /// Returns when the next bytes may be read; `None` if they may be read now.
    fn next_read(&self, now: Instant) -> Option<Instant> {
        let next = self.due.checked_sub(BURST)?;
        (next > now).then_some(next)
    }

    /// Waits until the next bytes may be read.
    pub(super) async fn wait(&self) {
        if let Some(next) = self.next_read(Instant::now()) {
            sleep_until(next).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_at_once_and_more_at_the_steady_pace() {
        let start = Instant::now();
        let mut pace = ReadPace::new(1_000, start);
        pace.count(1_000, start);
        assert_eq!(pace.next_read(start), None, "a second's worth is a burst");
        pace.count(500, start);
        let next = start + Duration::from_millis(500);
        assert_eq!(pace.next_read(start), Some(next));
        assert_eq!(pace.next_read(next), None);
        // Unused time is not saved beyond one burst.
        let later = start + Duration::from_secs(100);
        pace.count(2_000, later);
        assert_eq!(pace.next_read(later), Some(later + Duration::from_secs(1)));
    }
}
