//! Reads for callers who must not learn whether a user exists (ADR 0012).
//!
//! Such a caller gets the answer of an unknown user for one who does not share with third parties. Neither the answer nor
//! its time may tell the two apart, under load and in a fault too. So the decision is not left to the user's actor, whose
//! mailbox may be full: a live user's consent is read beside its head, and every denial, of whomever, takes one way:
//! through the commit queue, then two look-ups on a hydration thread. Callers who ask for one id at the same time share
//! them: otherwise many questions at once would take as many times as long as the user's state takes to be loaded.

use domain::access::{Consent, Viewer, Visibility};
use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::Hydration;

use crate::error::{Busy, ReadError};
use crate::flights::Flight;
use crate::hydration::load;
use crate::priority::Share;
use crate::profile::Request;
use crate::roster::Presence;
use crate::shared::Shared;

/// Looks a user up in the store, without an actor.
#[derive(Debug)]
pub(crate) struct LookUp {
    user: UserId,
    /// An id that nobody has. A store that fails for it fails for everybody; one that fails for `user` alone would tell
    /// that the user exists.
    control: UserId,
    flight: Flight,
}

impl LookUp {
    /// Does the look-up. Blocks.
    ///
    /// Then the same id is asked for once more, for nobody: a hidden user becomes live, so that it is not loaded again and
    /// again, and for an unknown one this does the same work, and finds nothing. Only with that the look-up is over.
    pub(crate) fn run(mut self, shared: &Shared, store: &dyn ProfileStore) {
        let found = load(store, &self.user, &mut Hydration::default());
        let control = load(store, &self.control, &mut Hydration::default());
        let (answer, fault) = match (found, control) {
            (found, Err(error)) => (Err(ReadError::Unavailable), Some(found.err().unwrap_or(error))),
            (Ok(state), Ok(_)) => (Ok(state.map(|state| state.consent())), None),
            (Err(error), Ok(_)) => (Ok(None), Some(error)),
        };
        self.flight.answer(answer);
        if let Some(error) = fault {
            report(&error);
        }
        if answer.is_ok() {
            // Where there is no room for it, it is dropped, and the look-up is over at once.
            let _ = shared.dispatch(self.user, Request::WakeUp(self.flight));
        }
    }
}

fn report(error: &StoreError) {
    let cause: &dyn std::error::Error = error;
    tracing::error!(error = cause, "a user could not be looked up");
}

impl Shared {
    /// Whether a viewer may know of a user whose existence may be hidden from it.
    ///
    /// # Errors
    /// As for an unknown user: too many look-ups wait, or the store fails for everybody.
    pub(crate) async fn is_shown(&self, user: UserId, viewer: &Viewer) -> Result<bool, ReadError> {
        let is_shown = |consent| self.policy.load().visibility(viewer, &user, consent) != Visibility::Hidden;
        let is_live = match self.roster.presence(&user) {
            Presence::Live(Some(consent)) if is_shown(consent) => return Ok(true),
            Presence::Live(_) => true,
            Presence::Cold => false,
        };
        // A stale "shown" does no harm, as the user's actor decides for itself. A stale denial is one of the time when the
        // question was under way: who has begun to share meanwhile is live, and was found so above.
        Ok(self.look_up(user, is_live).await?.is_some_and(is_shown))
    }

    /// Takes the way of a denial once, for a user who is live and hidden, and finds nobody.
    ///
    /// # Errors
    /// As [`Self::is_shown`].
    pub(crate) async fn look_up_nobody(&self, user: UserId) -> Result<(), ReadError> {
        self.look_up(user, true).await.map(|_| ())
    }

    async fn look_up(&self, user: UserId, is_live: bool) -> Result<Option<Consent>, ReadError> {
        let place = Share::take(&self.look_ups, 1, self.options.hydration_queue).ok_or(Busy)?;
        let (found, flight) = self.flights.join((user, is_live), place);
        if let Some(flight) = flight {
            // The state of a live user is not looked at, so that its size does not tell: somebody unknown is looked up in
            // its place.
            let user = if is_live { self.nobody() } else { user };
            self.commits.look_up(LookUp { user, control: self.nobody(), flight })?;
        }
        found.await.unwrap_or(Err(ReadError::Busy))
    }

    /// An id that nobody has, as good as certainly.
    fn nobody(&self) -> UserId {
        let mut id = "usr_".to_owned();
        domain::profile::push_hex(&mut id, &self.random::<16>());
        UserId::parse(&id).unwrap_or_else(|_| unreachable!("32 hexadecimal digits are an id"))
    }
}
