//! The memory budget, in bytes, of all request bodies and feed answers.
//!
//! Nothing waits for the budget (ADR 0010): a request that does not fit is refused, so two bodies that grow at the same
//! time cannot block each other. Dropping a reservation releases it, whatever ends the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;

use crate::http::problem::{Code, Problem};
use crate::telemetry::metric;

/// The divisor of the budget that gives the part that large reservations leave free for small ones.
const SMALL_PART: usize = 16;
/// Maximum size of a small reservation, in bytes.
const MAX_SMALL: usize = 64 * 1024;

/// The budget, which all workers share.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<BudgetState>);

struct BudgetState {
    limit: usize,
    used: AtomicUsize,
    gauge: Gauge,
}

/// What memory is reserved for. Citizens' own writes find room even when feeds have used up their share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A write of a citizen about themselves.
    CitizenWrite,
    /// The body or the answer of a feed request, or the body of a login, a simulation or a batch of reads.
    Feed,
}

/// Reserved bytes, which are released when this is dropped.
pub(crate) struct Reservation {
    budget: InFlight,
    purpose: Purpose,
    bytes: usize,
}

/// The budget has no room for the requested bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BudgetExceeded;

impl InFlight {
    /// Returns a budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicUsize::new(0), gauge: metric::in_flight_bytes() }))
    }

    /// Returns an empty reservation.
    pub(crate) fn reserve(&self, purpose: Purpose) -> Reservation {
        Reservation { budget: self.clone(), purpose, bytes: 0 }
    }

    /// Returns how many bytes may be in use after a reservation has grown to `bytes`. A sixteenth of the budget is kept
    /// free for small reservations, and half of that for citizens' writes.
    fn ceiling(&self, purpose: Purpose, bytes: usize) -> usize {
        let limit = self.0.limit;
        match purpose {
            Purpose::CitizenWrite => limit,
            Purpose::Feed if bytes <= MAX_SMALL => limit - limit / (2 * SMALL_PART),
            Purpose::Feed => limit - limit / SMALL_PART,
        }
    }
}

impl Reservation {
    /// Grows the reservation to `bytes` in total.
    ///
    /// # Errors
    /// The budget has no room. The reservation stays as it was.
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

    /// Shrinks the reservation to `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) else { return };
        self.budget.0.used.fetch_sub(less, Ordering::Relaxed);
        self.budget.0.gauge.decrement(less as f64);
        self.bytes = bytes;
    }

    /// Returns the number of reserved bytes.
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
        Self::new(Code::Busy, "the memory for requests and answers is used up: send the request again")
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
    fn dropped_reservations_are_released() {
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
        assert!(grown(&budget, Purpose::Feed, MAX_SMALL + 1).is_err());
        let small: Vec<_> = std::iter::from_fn(|| grown(&budget, Purpose::Feed, MAX_SMALL).ok()).collect();
        assert_eq!(small.len(), (1 << 20) / MAX_SMALL);
        let own: Vec<_> = std::iter::from_fn(|| grown(&budget, Purpose::CitizenWrite, 4_096).ok()).collect();
        assert_eq!(own.len(), (1 << 20) / 4_096);
    }

    #[test]
    fn a_small_reservation_that_grows_is_a_large_one() {
        let budget = InFlight::new(LIMIT);
        let _large = grown(&budget, Purpose::Feed, 30 << 20).expect("room");
        let mut small = grown(&budget, Purpose::Feed, MAX_SMALL).expect("room");
        assert_eq!(small.grow_to(MAX_SMALL + 1), Err(BudgetExceeded));
    }
}
