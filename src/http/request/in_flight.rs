//! One budget in bytes over the request bodies and feed answers that are held in memory.
//!
//! Nothing ever waits for it (ADR 0010): a request that does not fit is refused, so two bodies that grow at the same time
//! cannot hold each other up. What was reserved is released when the reservation is dropped, whatever ends the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;

use crate::http::problem::{Code, Problem};
use crate::telemetry::metric;

/// The part of the budget that large reservations leave free for small ones.
const RESERVE: usize = 16;
/// Maximum number of bytes of a small reservation.
const SMALL: usize = 64 * 1024;

/// The budget, shared by all workers.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<BudgetState>);

struct BudgetState {
    limit: usize,
    used: AtomicUsize,
    gauge: Gauge,
}

/// Who reserves: a citizen's own write must find room while feeds have taken all of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A citizen's own write.
    CitizenWrite,
    /// A feed's body or answer.
    Feed,
}

/// Bytes that are reserved until this is dropped.
pub(crate) struct Reservation {
    budget: InFlight,
    purpose: Purpose,
    bytes: usize,
}

/// The budget has no room for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BudgetExceeded;

impl InFlight {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicUsize::new(0), gauge: metric::in_flight_bytes() }))
    }

    /// An empty reservation, to be grown.
    pub(crate) fn reserve(&self, purpose: Purpose) -> Reservation {
        Reservation { budget: self.clone(), purpose, bytes: 0 }
    }

    /// How much may be in use after a reservation has grown to `bytes`: a sixteenth of the budget is left to small
    /// reservations, and half of that to citizens' own writes.
    fn ceiling(&self, purpose: Purpose, bytes: usize) -> usize {
        let limit = self.0.limit;
        match purpose {
            Purpose::CitizenWrite => limit,
            Purpose::Feed if bytes <= SMALL => limit - limit / (2 * RESERVE),
            Purpose::Feed => limit - limit / RESERVE,
        }
    }
}

impl Reservation {
    /// Reserves `bytes` in all.
    ///
    /// # Errors
    /// There is no room for them; what was reserved before stays.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return Ok(()) };
        let ceiling = self.budget.ceiling(self.purpose, bytes);
        let fits = |used: usize| used.checked_add(more).filter(|used| *used <= ceiling);
        let inner = &self.budget.0;
        inner.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| BudgetExceeded)?;
        inner.gauge.increment(more as f64);
        self.bytes = bytes;
        Ok(())
    }

    /// Releases all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) else { return };
        self.budget.0.used.fetch_sub(less, Ordering::Relaxed);
        self.budget.0.gauge.decrement(less as f64);
        self.bytes = bytes;
    }

    /// How many bytes are reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

impl From<BudgetExceeded> for Problem {
    fn from(BudgetExceeded: BudgetExceeded) -> Self {
        Self::new(Code::Busy, "too many bytes of requests and answers are in flight: send it again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 32 << 20;

    fn grown(budget: &InFlight, purpose: Purpose, bytes: usize) -> Result<Reservation, BudgetExceeded> {
        let mut reservation = budget.reserve(purpose);
        reservation.grow_to(bytes).map(|()| reservation)
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let budget = InFlight::new(LIMIT);
        let mut first = grown(&budget, Purpose::Feed, 16 << 20).expect("room");
        let mut second = grown(&budget, Purpose::Feed, 8 << 20).expect("room");
        assert_eq!(second.grow_to(16 << 20), Err(BudgetExceeded), "the reserve is for small ones");
        assert_eq!(second.bytes(), 8 << 20);
        first.shrink_to(4 << 20);
        assert_eq!(second.grow_to(16 << 20), Ok(()));
        drop((first, second));
        assert_eq!(budget.0.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones_and_feeds_for_citizens() {
        let budget = InFlight::new(LIMIT);
        let _large = grown(&budget, Purpose::Feed, 30 << 20).expect("all that large ones may have");
        assert!(grown(&budget, Purpose::Feed, SMALL + 1).is_err());
        let small: Vec<_> = std::iter::from_fn(|| grown(&budget, Purpose::Feed, SMALL).ok()).collect();
        assert_eq!(small.len(), (1 << 20) / SMALL);
        let own: Vec<_> = std::iter::from_fn(|| grown(&budget, Purpose::CitizenWrite, 4_096).ok()).collect();
        assert_eq!(own.len(), (1 << 20) / 4_096);
    }

    #[test]
    fn a_small_reservation_that_grows_is_a_large_one() {
        let budget = InFlight::new(LIMIT);
        let _large = grown(&budget, Purpose::Feed, 30 << 20).expect("room");
        let mut small = grown(&budget, Purpose::Feed, SMALL).expect("room");
        assert_eq!(small.grow_to(SMALL + 1), Err(BudgetExceeded));
    }
}
