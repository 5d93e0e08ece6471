//! How long a connection that outlives its request may stay open, a live one or a stream of feed events: as long as its
//! caller's token is accepted, and as the server runs.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::http::caller::Caller;
use crate::http::door::Door;

/// The time that a connection has.
pub(crate) struct Expiry {
    /// When the newest token ends.
    ends: watch::Sender<Instant>,
    closing: watch::Receiver<bool>,
}

/// Why the time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    Stopping,
    Token,
}

impl Expiry {
    pub(crate) fn new(door: &Door, caller: &Caller) -> Self {
        Self { ends: watch::Sender::new(end_of(door, caller)), closing: door.closing.clone() }
    }

    /// Goes by a newer token.
    pub(crate) fn extend(&self, door: &Door, caller: &Caller) {
        self.ends.send_replace(end_of(door, caller));
    }

    /// Why the connection has expired, if it has.
    pub(crate) fn is_expired(&self) -> Option<Expired> {
        if *self.closing.borrow() {
            return Some(Expired::Stopping);
        }
        (*self.ends.borrow() <= Instant::now()).then_some(Expired::Token)
    }

    /// Waits until the time is over; a call of [`Self::extend`] meanwhile counts.
    pub(crate) fn expired(&self) -> impl Future<Output = Expired> + use<> {
        let (ends, mut closing) = (self.ends.subscribe(), self.closing.clone());
        async move {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => Expired::Stopping,
                () = passed(ends) => Expired::Token,
            }
        }
    }
}

/// When the caller's token stops to be accepted: after the second that its end falls into.
fn end_of(door: &Door, caller: &Caller) -> Instant {
    Instant::now() + door.verifier.left(caller)
}

/// Waits until the newest of `ends` has passed.
async fn passed(mut ends: watch::Receiver<Instant>) {
    loop {
        let end = *ends.borrow_and_update();
        tokio::select! {
            () = sleep_until(end) => return,
            changed = ends.changed() => {
                if changed.is_err() {
                    // Nobody can extend it any more.
                    return sleep_until(end).await;
                }
            }
        }
    }
}
