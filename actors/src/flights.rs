//! Look-ups that callers share: however many ask for one id at the same time, it is looked up once (ADR 0012).

use std::collections::HashMap;
use std::sync::Arc;

use domain::access::Consent;
use domain::id::UserId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::ReadError;
use crate::priority::Share;

/// What a look-up finds: a user's consent, or that there is no such user.
pub(crate) type Found = Result<Option<Consent>, ReadError>;

/// Which look-ups can be shared: those of one id. One that was begun while the user was live looks somebody else up in its
/// place, so it is not shared with those that began while the user was not.
pub(crate) type FlightKey = (UserId, bool);

/// The look-ups under way, with those who wait for each.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<FlightKey, Vec<Waiter>>>);

/// A caller who waits for a look-up that somebody began.
#[derive(Debug)]
struct Waiter {
    answer: oneshot::Sender<Found>,
    _place: Share,
}

/// A look-up under way. When it is dropped, it is over, and whoever still waits for it has its answer.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    key: FlightKey,
    found: Found,
}

impl Flights {
    /// Waits for the look-up of `key`. The second value is there if nobody waited yet: then the caller is to begin it.
    pub(crate) fn join(self: &Arc<Self>, key: FlightKey, place: Share) -> (oneshot::Receiver<Found>, Option<Flight>) {
        let (answer, found) = oneshot::channel();
        let waiter = Waiter { answer, _place: place };
        let mut flights = self.0.lock();
        if let Some(waiting) = flights.get_mut(&key) {
            waiting.push(waiter);
            return (found, None);
        }
        flights.insert(key, vec![waiter]);
        drop(flights);
        (found, Some(Flight { flights: Arc::clone(self), key, found: Err(ReadError::Busy) }))
    }
}

impl Flight {
    /// Answers those who wait now. Those who come later, while the look-up is not over, have the same answer at its end.
    pub(crate) fn answer(&mut self, found: Found) {
        self.found = found;
        let waiting = self.flights.0.lock().get_mut(&self.key).map(std::mem::take);
        tell(waiting, found);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let waiting = self.flights.0.lock().remove(&self.key);
        tell(waiting, self.found);
    }
}

fn tell(waiting: Option<Vec<Waiter>>, found: Found) {
    for waiter in waiting.into_iter().flatten() {
        // The caller may have stopped waiting.
        let _ = waiter.answer.send(found);
    }
}
