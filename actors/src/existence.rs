//! Reads for callers who must not learn whether a user exists (ADR 0012).
//!
//! Such a caller gets the answer of an unknown user for one who does not share with third parties. Neither the answer nor
//! its time may tell the two apart, under load and in a fault too. So the decision is not left to the user's actor, whose
//! mailbox may be full: a live user's consent is read beside its head, and every denial, of whomever, takes one way:
//! through the commit queue, then two look-ups on a hydration thread.

use domain::access::{Consent, Viewer, Visibility};
use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::Hydration;
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};
use crate::hydration::load;
use crate::priority::Share;
use crate::profile::{GetView, Request};
use crate::roster::Presence;
use crate::shared::Shared;

/// Looks a user up in the store, without an actor.
#[derive(Debug)]
pub(crate) struct LookUp {
    user: UserId,
    /// An id that nobody has. A store that fails for it fails for everybody; one that fails for `user` alone would tell
    /// that the user exists.
    control: UserId,
    answer: oneshot::Sender<Result<Option<Consent>, ReadError>>,
    _place: Share,
}

impl LookUp {
    /// Does the look-up. Blocks.
    pub(crate) fn run(self, store: &dyn ProfileStore) {
        let found = load(store, &self.user, &mut Hydration::default());
        let control = load(store, &self.control, &mut Hydration::default());
        let (answer, fault) = match (found, control) {
            (found, Err(error)) => (Err(ReadError::Unavailable), Some(found.err().unwrap_or(error))),
            (Ok(state), Ok(_)) => (Ok(state.map(|state| state.consent())), None),
            (Err(error), Ok(_)) => (Ok(None), Some(error)),
        };
        // The caller may have stopped waiting.
        let _ = self.answer.send(answer);
        if let Some(error) = fault {
            report(&error);
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
        let subject = match self.roster.presence(&user) {
            Presence::Live(Some(consent)) if is_shown(consent) => return Ok(true),
            // Its state is not looked at, so that its size does not tell: somebody unknown is looked up in its place.
            Presence::Live(_) => self.nobody(),
            Presence::Cold => user,
        };
        if self.look_up(subject).await?.is_some_and(is_shown) {
            return Ok(true);
        }
        // The next request finds the user live, so that repeated requests do not load a hidden user again and again. For
        // an unknown one this does the same work, and finds nothing.
        let (answer, _) = oneshot::channel();
        let _ = self.dispatch(subject, Request::GetView(GetView { viewer: viewer.clone(), answer }));
        Ok(false)
    }

    /// Takes the way of a denial once, and finds nobody.
    ///
    /// # Errors
    /// As [`Self::is_shown`].
    pub(crate) async fn look_up_nobody(&self) -> Result<(), ReadError> {
        self.look_up(self.nobody()).await.map(|_| ())
    }

    async fn look_up(&self, user: UserId) -> Result<Option<Consent>, ReadError> {
        let place = Share::take(&self.look_ups, 1, self.options.hydration_queue).ok_or(Busy)?;
        let (answer, found) = oneshot::channel();
        self.commits.look_up(LookUp { user, control: self.nobody(), answer, _place: place });
        // It is dropped when the live state stops.
        found.await.unwrap_or(Err(ReadError::Busy))
    }

    /// An id that nobody has, as good as certainly.
    fn nobody(&self) -> UserId {
        let mut id = "usr_".to_owned();
        domain::profile::push_hex(&mut id, &self.random::<16>());
        UserId::parse(&id).unwrap_or_else(|_| unreachable!("32 hexadecimal digits are an id"))
    }
}
