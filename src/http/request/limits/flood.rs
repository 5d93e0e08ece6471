//! The cap of all clients together.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const MICROS_PER_SECOND: u64 = 1_000_000;
/// The bits of the cell that hold the count; those above hold the second.
const COUNT_BITS: u32 = 32;

/// Counts the requests of each second. It is not a sliding window: what arrives around the end of a second may be twice the
/// cap. In return it is one atomic number.
pub(super) struct FloodGate {
    per_second: AtomicU32,
    cell: AtomicU64,
}

impl FloodGate {
    /// Returns a gate for at most `per_second` requests a second, or for any number if it is 0.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: AtomicU32::new(per_second), cell: AtomicU64::new(0) }
    }

    pub(super) fn set(&self, per_second: u32) {
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Counts a request at the time `now`, in microseconds. `Err` if the second has had its requests.
    pub(super) fn count(&self, now: u64) -> Result<(), ()> {
        let per_second = self.per_second.load(Ordering::Relaxed);
        if per_second == 0 {
            return Ok(());
        }
        let second = (now / MICROS_PER_SECOND) << COUNT_BITS;
        let before = self.cell.load(Ordering::Relaxed);
        if before >> COUNT_BITS < second >> COUNT_BITS {
            // Of several threads one begins the second. The others count in it.
            let _ = self.cell.compare_exchange(before, second, Ordering::Relaxed, Ordering::Relaxed);
        }
        // The count is checked before it grows, so that a flood cannot overflow it.
        let count = self.cell.load(Ordering::Relaxed) as u32;
        if count >= per_second {
            return Err(());
        }
        let count = self.cell.fetch_add(1, Ordering::Relaxed) as u32;
        if count < per_second { Ok(()) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_requests_and_no_more_however_many_threads_ask() {
        let gate = FloodGate::new(1_000);
        for second in 1..4 {
            let taken = std::thread::scope(|scope| {
                let ask = || (0..1_000).filter(|_| gate.count(second * MICROS_PER_SECOND).is_ok()).count();
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<usize>()
            });
            assert_eq!(taken, 1_000);
        }
        gate.set(0);
        assert!((0..10_000).all(|_| gate.count(4 * MICROS_PER_SECOND).is_ok()), "no cap");
    }
}
