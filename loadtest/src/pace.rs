//! The schedule of requests.
//!
//! In an open loop the schedule does not depend on responses: request n is due n intervals after the start, whether or
//! not earlier ones were answered. A request that finds no free connection waits, and its waiting time counts as
//! latency, so a stall of the server is visible (no coordinated omission).

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Minimum interval of the timer. More wake-ups would cost more than a finer schedule is worth.
const SHORTEST_TICK: Duration = Duration::from_micros(50);
/// Maximum interval of the timer. Fewer wake-ups would release requests late.
const LONGEST_TICK: Duration = Duration::from_millis(1);

/// When the next request is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// When the previous one was answered, for this long.
    Closed(Duration),
    /// At a fixed rate per second, for this long.
    Open { rate: f64, length: Duration },
}

/// Releases requests to the connections of one thread.
pub(crate) enum Pacer {
    /// Requests are released until this instant.
    Closed(Instant),
    /// Requests are released by a schedule, which a task runs.
    Open(Rc<Schedule>, AbortHandle),
}

/// The due times of an open loop.
pub(crate) struct Schedule {
    start: Instant,
    interval: Duration,
    total: u64,
    taken: Cell<u64>,
    due: Semaphore,
}

impl Pacer {
    /// Starts the schedule, which runs in a local task.
    pub(crate) fn start(pace: Pace) -> io::Result<Self> {
        let (rate, length) = match pace {
            Pace::Closed(length) => return Ok(Self::Closed(Instant::now() + length)),
            Pace::Open { rate, length } => (rate, length),
        };
        let schedule = Rc::new(Schedule {
            start: Instant::now(),
            interval: Duration::from_secs_f64(1.0 / rate),
            total: (rate * length.as_secs_f64()) as u64,
            taken: Cell::new(0),
            due: Semaphore::new(0),
        });
        let tick = schedule.interval.clamp(SHORTEST_TICK, LONGEST_TICK);
        let timer = timer(tick)?;
        let task = tokio::task::spawn_local(run(schedule.clone(), timer));
        Ok(Self::Open(schedule, task.abort_handle()))
    }

    /// Waits until the next request is due. Returns when it was due, or `None` if there are no more.
    pub(crate) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed(end) => Some(Instant::now()).filter(|now| now < end),
            Self::Open(schedule, _) => {
                schedule.due.acquire().await.ok()?.forget();
                let number = schedule.taken.get();
                if number == schedule.total {
                    return None;
                }
                schedule.taken.set(number + 1);
                Some(schedule.due_at(number))
            }
        }
    }

    /// Returns the number of requests that were due and not taken.
    pub(crate) fn unsent(&self) -> u64 {
        match self {
            Self::Closed(_) => 0,
            Self::Open(schedule, _) => schedule.total - schedule.taken.get(),
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        if let Self::Open(_, task) = self {
            task.abort();
        }
    }
}

impl Schedule {
    fn due_at(&self, number: u64) -> Instant {
        self.start + self.interval.mul_f64(number as f64)
    }
}

/// Releases the requests that are due at each tick, and all waiting connections at the end.
async fn run(schedule: Rc<Schedule>, timer: AsyncFd<OwnedFd>) {
    let mut released = 0;
    while released < schedule.total {
        tick(&timer).await;
        let passed = schedule.start.elapsed().as_secs_f64() / schedule.interval.as_secs_f64();
        // The first request is due at the start.
        let due = (passed as u64 + 1).min(schedule.total);
        schedule.due.add_permits(usize::try_from(due - released).unwrap_or_default());
        released = due;
    }
    schedule.due.add_permits(Semaphore::MAX_PERMITS / 2);
}

/// A timer of the operating system with this period. The timers of tokio have a resolution of a millisecond.
#[expect(
    deprecated,
    reason = "its successor is unsafe; what can go wrong is a descriptor that others close, and an `OwnedFd` is ours alone"
)]
fn timer(period: Duration) -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
    let period = Timespec { tv_sec: seconds, tv_nsec: i64::from(period.subsec_nanos()) };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: period, it_value: period })?;
    AsyncFd::new(timer)
}

async fn tick(timer: &AsyncFd<OwnedFd>) {
    let Ok(mut ready) = timer.readable().await else { return };
    let mut ticks = [0; 8];
    let _ = ready.try_io(|timer| rustix::io::read(timer.get_ref(), &mut ticks).map_err(io::Error::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_schedule_when_requests_are_taken_late() {
        let pace = Pace::Open { rate: 10_000.0, length: Duration::from_millis(50) };
        let given = crate::drive::local(async {
            let pacer = Pacer::start(pace)?;
            // Requests that become due during this stall keep their due times.
            tokio::time::sleep(Duration::from_millis(30)).await;
            let mut given = Vec::new();
            while let Some(due) = pacer.next().await {
                assert!(due <= Instant::now());
                given.push(due);
            }
            assert_eq!(pacer.unsent(), 0);
            Ok(given)
        })
        .expect("a timer");
        assert_eq!(given.len(), 500);
        assert!(given.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(100)));
    }

    /// A late release would count as latency of the server.
    #[test]
    fn a_slow_schedule_releases_requests_when_they_are_due() {
        let pace = Pace::Open { rate: 1.0, length: Duration::from_secs(3_600) };
        crate::drive::local(async {
            let pacer = Pacer::start(pace)?;
            let start = Instant::now();
            let due = pacer.next().await.expect("a request");
            assert!(due <= start, "the first is due at the start");
            Ok(())
        })
        .expect("a timer");
        // A release that waits for the next one is late by an interval, every time; one that is not may be late by chance.
        let interval = Duration::from_millis(100);
        let least_late = crate::drive::local(async {
            let pacer = Pacer::start(Pace::Open { rate: 1.0 / interval.as_secs_f64(), length: 5 * interval })?;
            let mut least_late = Duration::MAX;
            pacer.next().await;
            while let Some(due) = pacer.next().await {
                least_late = least_late.min(due.elapsed());
            }
            Ok(least_late)
        });
        let least_late = least_late.expect("a timer");
        assert!(least_late < interval / 2, "released {least_late:?} after it was due, at best");
    }

    #[test]
    fn requests_that_were_not_taken_are_unsent() {
        let pace = Pace::Open { rate: 1_000.0, length: Duration::from_millis(10) };
        let unsent = crate::drive::local(async {
            let pacer = Pacer::start(pace)?;
            for _ in 0..4 {
                pacer.next().await;
            }
            Ok(pacer.unsent())
        });
        assert_eq!(unsent.expect("a timer"), 6);
    }
}
