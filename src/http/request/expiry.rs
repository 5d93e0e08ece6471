//! The expiry of live connections and of streams, which stay open as long as their caller's token is accepted and the
//! server runs.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::caller::{Caller, Verifier};

/// The time at which a connection expires.
pub(crate) struct Expiry {
    /// When the newest token expires.
    ends: watch::Sender<Instant>,
    closing: watch::Receiver<bool>,
}

/// Why a connection has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The server is stopping.
    Stopping,
    /// The caller's token has expired.
    Token,
}

impl Expiry {
    /// Returns the expiry of a connection of `caller`; `closing` turns true when the server stops.
    pub(crate) fn new(verifier: &Verifier, caller: &Caller, closing: watch::Receiver<bool>) -> Self {
        Self { ends: watch::Sender::new(token_end(verifier, caller)), closing }
    }

    /// Moves the expiry to that of a newer token.
    pub(crate) fn extend(&self, verifier: &Verifier, caller: &Caller) {
        self.ends.send_replace(token_end(verifier, caller));
    }

    /// Returns why the connection has expired; `None` while it has not.
    pub(crate) fn is_expired(&self) -> Option<Expired> {
        if *self.closing.borrow() {
            return Some(Expired::Stopping);
        }
        (*self.ends.borrow() <= Instant::now()).then_some(Expired::Token)
    }

    /// Waits until the connection expires. [`Self::extend`] may move that time meanwhile.
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

/// Returns when the caller's token stops being accepted: at the end of the second in which it expires.
fn token_end(verifier: &Verifier, caller: &Caller) -> Instant {
    Instant::now() + verifier.left(caller)
}

/// Waits until the newest of `ends` has passed.
async fn passed(mut ends: watch::Receiver<Instant>) {
    loop {
        let end = *ends.borrow_and_update();
        tokio::select! {
            () = sleep_until(end) => return,
            changed = ends.changed() => {
                if changed.is_err() {
                    // The sender is gone, so the end cannot move any more.
                    return sleep_until(end).await;
                }
            }
        }
    }
}
