//! Work in parts that some threads share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain::port::store::StoreError;

/// Number of threads that fill the columns: enough for the goal of 10 seconds for a million users, and not more than half of
/// the cores of a small machine can be spared.
const WORKERS: usize = 2;

/// The shortest rest.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// How the threads work.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a> {
    /// Each thread rests a fourth of the time that it has worked, so that the server's own threads have their turn.
    pub(super) rests: bool,
    /// Set when the work is not needed any more.
    pub(super) stop: &'a AtomicBool,
}

/// The reason why work has ended before all parts were done.
pub(super) enum Interrupted {
    /// It is not needed any more.
    Stopped,
    Failed(StoreError),
}

/// Calls `work` with each number below `parts`, on some threads.
pub(super) fn share(
    parts: usize,
    pace: Pace<'_>,
    work: impl Fn(usize) -> Result<(), StoreError> + Sync,
) -> Result<(), Interrupted> {
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut owed = Duration::ZERO;
        while !has_failed.load(Ordering::Relaxed) {
            if pace.stop.load(Ordering::Relaxed) {
                return Err(Interrupted::Stopped);
            }
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                break;
            }
            let started = Instant::now();
            if let Err(error) = work(part) {
                has_failed.store(true, Ordering::Relaxed);
                return Err(Interrupted::Failed(error));
            }
            owed += started.elapsed() / 4;
            // Shorter sleeps take longer than they are told.
            if pace.rests && owed > SHORTEST_REST {
                thread::sleep(std::mem::take(&mut owed));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..WORKERS.min(parts)).map(|_| scope.spawn(worker)).collect();
        let own = worker();
        let panicked = || StoreError::Damaged { what: "a stored user: filling the columns panicked".to_owned() };
        let results = others.into_iter().map(|other| other.join().unwrap_or(Err(Interrupted::Failed(panicked()))));
        results.fold(own, |result, other| result.and(other))
    })
}
