//! Look-ups that callers share ("single flight"): an id that many callers ask for at the same time is looked up once
//! (ADR 0012).

use std::collections::HashMap;
use std::sync::Arc;

use domain::access::Consent;
use domain::id::UserId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::ReadError;
use crate::priority::Share;

/// The result of a look-up: the user's consent; `None` if the user does not exist.
pub(crate) type LookUpResult = Result<Option<Consent>, ReadError>;

/// What the callers of one look-up have in common: the id, and whether the user was in memory when they asked. For a user in
/// memory another id is looked up in its place, so the two cannot be shared.
pub(crate) type FlightKey = (UserId, bool);

/// The look-ups in progress, and the callers that wait for each.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<FlightKey, Vec<WaitingCaller>>>);

/// A caller that waits for a look-up.
#[derive(Debug)]
struct WaitingCaller {
    answer: oneshot::Sender<LookUpResult>,
    _share: Share,
}

/// A look-up in progress. It ends when it is dropped, and answers the callers that still wait.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    key: FlightKey,
    result: LookUpResult,
}

impl Flights {
    /// Adds a caller to the look-up of `key`, and returns where the result arrives. The second value is `Some` if no
    /// such look-up is in progress: then the caller must start it.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: FlightKey,
        share: Share,
    ) -> (oneshot::Receiver<LookUpResult>, Option<Flight>) {
        let (answer, result) = oneshot::channel();
        let waiter = WaitingCaller { answer, _share: share };
        let mut flights = self.0.lock();
        if let Some(waiting) = flights.get_mut(&key) {
            waiting.push(waiter);
            return (result, None);
        }
        flights.insert(key, vec![waiter]);
        drop(flights);
        (result, Some(Flight { flights: Arc::clone(self), key, result: Err(ReadError::Busy) }))
    }
}

impl Flight {
    /// Answers the callers that wait now. Those that join later, before the look-up ends, get the same result at its end.
    pub(crate) fn answer(&mut self, result: LookUpResult) {
        self.result = result;
        let waiting = self.flights.0.lock().get_mut(&self.key).map(std::mem::take);
        answer_all(waiting, result);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let waiting = self.flights.0.lock().remove(&self.key);
        answer_all(waiting, self.result);
    }
}

fn answer_all(waiting: Option<Vec<WaitingCaller>>, result: LookUpResult) {
    for waiter in waiting.into_iter().flatten() {
        // The caller may have stopped waiting.
        let _ = waiter.answer.send(result);
    }
}
