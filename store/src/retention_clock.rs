//! The clock that decides what is removed because of its age.
//!
//! A wall clock can jump by days: a wrong time server, a restored virtual machine, an empty battery. What was removed
//! cannot be restored, so a single reading of the wall clock is not enough. The retention clock follows the wall clock
//! while that agrees with the monotonic clock and with the time that the last checkpoint stored. After a jump forward it
//! continues from the time before the jump, until the new time has held for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::clock::Clock;
use metrics::Gauge;
use parking_lot::Mutex;

/// How far the wall clock may be ahead of the expected time before that counts as a jump, in microseconds. Drift and leap
/// seconds stay far below.
const TOLERANCE: i64 = 3600 * 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * 1_000_000;

/// A wall clock that follows jumps forward only when they have held for a while.
pub(crate) struct RetentionClock {
    wall: Arc<dyn Clock>,
    start: Instant,
    confirm: i64,
    trusted: Mutex<TrustedTime>,
    seconds_ahead: Gauge,
}

impl RetentionClock {
    /// Follows `wall`, and a jump of it after `confirm`. `known_minutes` is the last value of [`Self::minutes`], or 0 if
    /// unknown.
    pub(crate) fn new(wall: Arc<dyn Clock>, confirm: Duration, known_minutes: u32, seconds_ahead: Gauge) -> Self {
        let trusted = Mutex::new(TrustedTime::new(wall.now_micros(), known_minutes));
        Self { wall, start: Instant::now(), confirm: micros(confirm), trusted, seconds_ahead }
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        let (wall, uptime) = (self.wall.now_micros(), micros(self.start.elapsed()));
        let Reading { time, event } = self.trusted.lock().read(wall, uptime, self.confirm);
        self.seconds_ahead.set((wall - time).max(0) as f64 / 1e6);
        match event {
            Some(JumpEvent::Seen) => tracing::warn!(
                "the clock is {} minutes ahead of the expected time: nothing is removed for its age until the new \
                 time has held for {} minutes",
                (wall - time) / MICROS_PER_MINUTE,
                self.confirm / MICROS_PER_MINUTE
            ),
            Some(JumpEvent::Confirmed) => tracing::info!("the clock's new time has held and is followed from now on"),
            None => {}
        }
        time
    }

    /// Returns the time in minutes since the Unix epoch, to be stored over restarts.
    pub(crate) fn minutes(&self) -> u32 {
        u32::try_from(self.now() / MICROS_PER_MINUTE).unwrap_or(0)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What is known about the time. All values are in microseconds.
struct TrustedTime {
    /// A time that was trusted, and the uptime at that moment.
    anchor: i64,
    anchored_at: i64,
    jump: Option<UnconfirmedJump>,
}

/// A jump forward to the time `wall`, seen at the uptime `since`.
struct UnconfirmedJump {
    wall: i64,
    since: i64,
}

struct Reading {
    time: i64,
    event: Option<JumpEvent>,
}

#[derive(Debug, PartialEq, Eq)]
enum JumpEvent {
    Seen,
    Confirmed,
}

impl TrustedTime {
    fn new(wall: i64, known_minutes: u32) -> Self {
        let known = i64::from(known_minutes) * MICROS_PER_MINUTE;
        let anchor = if known > 0 && wall - known > TOLERANCE { known } else { wall };
        Self { anchor, anchored_at: 0, jump: None }
    }

    /// Returns the time at a reading of the wall clock. The anchor moves only after a jump: otherwise many small jumps
    /// would add up to a large one without a confirmation.
    fn read(&mut self, wall: i64, uptime: i64, confirm: i64) -> Reading {
        let expected = self.anchor.saturating_add(uptime - self.anchored_at);
        let ahead = wall.saturating_sub(expected);
        if ahead <= TOLERANCE {
            if ahead < -TOLERANCE {
                // An earlier time removes less, so it needs no confirmation.
                (self.anchor, self.anchored_at) = (wall, uptime);
            }
            self.jump = None;
            return Reading { time: wall, event: None };
        }
        let agrees = |jump: &UnconfirmedJump| (wall - jump.wall - (uptime - jump.since)).abs() <= TOLERANCE;
        let since = self.jump.as_ref().filter(|jump| agrees(jump)).map(|jump| jump.since);
        if uptime - since.unwrap_or(uptime) >= confirm {
            *self = Self { anchor: wall, anchored_at: uptime, jump: None };
            return Reading { time: wall, event: Some(JumpEvent::Confirmed) };
        }
        let event = since.is_none().then_some(JumpEvent::Seen);
        if since.is_none() {
            self.jump = Some(UnconfirmedJump { wall, since: uptime });
        }
        Reading { time: expected, event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;
    const DAY: i64 = 24 * HOUR;
    const NOW: i64 = 20_000 * DAY;

    /// Returns the time after each of `readings`, pairs of wall clock and uptime.
    fn times(mut trusted: TrustedTime, readings: &[(i64, i64)]) -> Vec<i64> {
        readings.iter().map(|(wall, uptime)| trusted.read(*wall, *uptime, HOUR).time).collect()
    }

    #[test]
    fn a_jump_forward_counts_only_when_it_has_held() {
        let readings = [
            (NOW, 0),
            (NOW + 40 * DAY, SECOND),
            (NOW + 40 * DAY + HOUR / 2, HOUR / 2),
            (NOW + 40 * DAY + HOUR + SECOND, HOUR + SECOND),
            (NOW + 40 * DAY + 2 * HOUR, 2 * HOUR),
        ];
        let held = NOW + 40 * DAY;
        let expected = [NOW, NOW + SECOND, NOW + HOUR / 2, held + HOUR + SECOND, held + 2 * HOUR];
        assert_eq!(times(TrustedTime::new(NOW, 0), &readings), expected);
    }

    #[test]
    fn a_jump_that_is_taken_back_leaves_nothing_behind() {
        let readings = [
            (NOW + 40 * DAY, SECOND),
            (NOW + 2 * SECOND, 2 * SECOND),
            // Another jump needs its own confirmation.
            (NOW + 80 * DAY, 2 * HOUR),
            (NOW + 3 * HOUR, 3 * HOUR),
        ];
        let expected = [NOW + SECOND, NOW + 2 * SECOND, NOW + 2 * HOUR, NOW + 3 * HOUR];
        assert_eq!(times(TrustedTime::new(NOW, 0), &readings), expected);
    }

    #[test]
    fn a_clock_that_jumps_again_and_again_is_never_confirmed() {
        let readings: Vec<_> = (1..200).map(|step| (NOW + step * 3 * HOUR, step * SECOND)).collect();
        let expected: Vec<_> = (1..200).map(|step| NOW + step * SECOND).collect();
        assert_eq!(times(TrustedTime::new(NOW, 0), &readings), expected);
        // Steps that are small enough to be trusted do not add up.
        let readings: Vec<_> = (1..200).map(|step| (NOW + step * HOUR / 2, step * SECOND)).collect();
        assert!(times(TrustedTime::new(NOW, 0), &readings).iter().all(|time| *time < NOW + 2 * HOUR));
    }

    #[test]
    fn an_earlier_time_is_trusted_at_once() {
        let readings = [(NOW - 400 * DAY, SECOND), (NOW - 400 * DAY + SECOND, 2 * SECOND), (NOW, 3 * SECOND)];
        let expected = [NOW - 400 * DAY, NOW - 400 * DAY + SECOND, NOW - 400 * DAY + 2 * SECOND];
        assert_eq!(times(TrustedTime::new(NOW, 0), &readings), expected);
    }

    #[test]
    fn a_start_remembers_the_time_that_was_known() {
        let minutes = (NOW / MICROS_PER_MINUTE) as u32;
        assert_eq!(times(TrustedTime::new(NOW + 40 * DAY, minutes), &[(NOW + 40 * DAY, SECOND)]), [NOW + SECOND]);
        assert_eq!(times(TrustedTime::new(NOW + HOUR / 2, minutes), &[(NOW + HOUR / 2, 0)]), [NOW + HOUR / 2]);
    }
}
