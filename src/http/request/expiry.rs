//! The expiry of live connections and of streams, which stay open as long as their caller is accepted and the server runs.
//!
//! This is the one signal that ends WebSockets, Server-Sent Events, event streams and feed streams.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::caller::{Caller, Verifier};

/// The time at which a connection expires.
pub(crate) struct Expiry {
    verifier: Arc<Verifier>,
    accepted: watch::Sender<Accepted>,
    closing: watch::Receiver<bool>,
}

/// The caller of a connection, and when its newest token expires.
#[derive(Clone)]
struct Accepted {
    caller: Arc<Caller>,
    ends: Instant,
}

/// Why a connection has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The server is stopping.
    Stopping,
    /// The caller's token or session has expired.
    Token,
    /// The caller's token or session was revoked, or its key is no longer accepted.
    Revoked,
}

impl Expired {
    /// Returns what a client is told.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::Stopping => "the server is stopping",
            Self::Token => "the token has expired",
            Self::Revoked => "the token was revoked",
        }
    }
}

impl Accepted {
    fn new(verifier: &Verifier, caller: &Arc<Caller>) -> Self {
        // At the end of the second in which the token expires.
        Self { caller: Arc::clone(caller), ends: Instant::now() + verifier.left(caller) }
    }

    fn is_expired(&self, verifier: &Verifier) -> Option<Expired> {
        if verifier.check_revoked(&self.caller).is_err() {
            return Some(Expired::Revoked);
        }
        (self.ends <= Instant::now()).then_some(Expired::Token)
    }
}

impl Expiry {
    /// Returns the expiry of a connection of `caller`; `closing` turns true when the server stops.
    pub(crate) fn new(verifier: &Arc<Verifier>, caller: &Arc<Caller>, closing: watch::Receiver<bool>) -> Self {
        let accepted = watch::Sender::new(Accepted::new(verifier, caller));
        Self { verifier: Arc::clone(verifier), accepted, closing }
    }

    /// Moves the expiry to that of a newer token.
    pub(crate) fn extend(&self, caller: &Arc<Caller>) {
        self.accepted.send_replace(Accepted::new(&self.verifier, caller));
    }

    /// Returns why the connection has expired; `None` while it has not.
    pub(crate) fn is_expired(&self) -> Option<Expired> {
        if *self.closing.borrow() {
            return Some(Expired::Stopping);
        }
        self.accepted.borrow().is_expired(&self.verifier)
    }

    /// Waits until the connection expires. [`Self::extend`] may move that time meanwhile.
    pub(crate) fn expired(&self) -> impl Future<Output = Expired> + use<> {
        let (accepted, mut closing) = (self.accepted.subscribe(), self.closing.clone());
        let verifier = Arc::clone(&self.verifier);
        async move {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => Expired::Stopping,
                expired = no_longer_accepted(&verifier, accepted) => expired,
            }
        }
    }
}

/// Waits until the caller is accepted no longer. It is checked again whenever some credential may have been revoked.
async fn no_longer_accepted(verifier: &Verifier, mut accepted: watch::Receiver<Accepted>) -> Expired {
    let mut credentials = verifier.watch();
    let mut may_be_extended = true;
    loop {
        // Marked as seen before the check: what is revoked during it wakes the next wait.
        credentials.borrow_and_update();
        let current = accepted.borrow_and_update().clone();
        if let Some(expired) = current.is_expired(verifier) {
            return expired;
        }
        tokio::select! {
            () = sleep_until(current.ends) => {}
            _ = credentials.changed() => {}
            extended = accepted.changed(), if may_be_extended => may_be_extended = extended.is_ok(),
        }
    }
}
