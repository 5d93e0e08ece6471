//! Reads for callers who must not learn whether a user exists (ADR 0012).
//!
//! For a user who does not share with third parties, such a caller gets the answer of an unknown user. Neither the answer
//! nor the response time may show the difference, under load and in faults too. The user's actor cannot decide this, as
//! its mailbox may be full. So the consent of a user in memory, live or warm, is read from the roster, and every denial takes
//! the same path: through the commit queue, then two look-ups on a hydration thread. Callers who ask for one id at the same time share
//! the look-ups; otherwise the time for many questions at once would grow with the size of the user's state.

use domain::access::{Consent, Viewer, Visibility};
use domain::id::UserId;
use domain::port::store::ProfileStore;
use domain::record::Hydration;

use crate::error::{Busy, ReadError};
use crate::load::load;
use crate::look_up::LookUp;
use crate::priority::Share;
use crate::request::Request;
use crate::roster::Presence;
use crate::runtime::Runtime;

/// Does a look-up in the store, without an actor. Blocks.
///
/// After the answer, the same id is asked for once more, without a caller. A hidden user becomes live by that, so that it
/// is not loaded again and again; for an unknown user it does the same work and finds nothing. The look-up ends after it.
pub(crate) fn run_look_up(runtime: &Runtime, store: &dyn ProfileStore, look_up: LookUp) {
    let LookUp { user, control, mut flight } = look_up;
    let found = load(store, &user, &mut Hydration::default());
    let control = load(store, &control, &mut Hydration::default());
    let (answer, fault) = match (found, control) {
        (found, Err(error)) => (Err(ReadError::Unavailable), Some(found.err().unwrap_or(error))),
        (Ok(found), Ok(_)) => (Ok(found.and_then(|found| Some(found.state()?.consent()))), None),
        (Err(error), Ok(_)) => (Ok(None), Some(error)),
    };
    flight.answer(answer);
    if let Some(error) = fault {
        let cause: &dyn std::error::Error = &error;
        tracing::error!(error = cause, "a user could not be looked up");
    }
    if answer.is_ok() {
        // If there is no room for the request, it is dropped, and the look-up ends at once.
        let _ = runtime.dispatch(user, Request::WakeUp(flight));
    }
}

impl Runtime {
    /// Returns whether a viewer may know of a user whose existence may be hidden from it.
    ///
    /// # Errors
    /// The same as for an unknown user: too many look-ups wait, or the store fails for every user.
    pub(crate) async fn is_shown(&self, user: UserId, viewer: &Viewer) -> Result<bool, ReadError> {
        let policy = &self.services.policy;
        let is_shown = |consent| policy.load().visibility(viewer, &user, consent) != Visibility::Hidden;
        let is_in_memory = match self.roster.presence(&user) {
            Presence::InMemory(Some(consent)) if is_shown(consent) => return Ok(true),
            Presence::InMemory(_) => true,
            Presence::Cold => false,
        };
        // An outdated "shown" does no harm, as the user's actor decides again. An outdated denial was right while the
        // question was under way: a user who has begun to share since is in memory, and was found so above.
        Ok(self.look_up(user, is_in_memory).await?.is_some_and(is_shown))
    }

    /// Spends the time of a denial on a user that is in memory and hidden. The result is dropped.
    ///
    /// # Errors
    /// As [`Self::is_shown`].
    pub(crate) async fn look_up_nobody(&self, user: UserId) -> Result<(), ReadError> {
        self.look_up(user, true).await.map(|_| ())
    }

    async fn look_up(&self, user: UserId, is_in_memory: bool) -> Result<Option<Consent>, ReadError> {
        let share = Share::take(&self.look_ups, 1, self.services.options.hydration_queue).ok_or(Busy)?;
        let (result, flight) = self.flights.join((user, is_in_memory), share);
        if let Some(flight) = flight {
            // For a user in memory an unknown id is looked up in its place: otherwise the size of the user's state would show
            // in the response time.
            let user = if is_in_memory { self.unknown_id() } else { user };
            self.services.commits.look_up(LookUp { user, control: self.unknown_id(), flight })?;
        }
        result.await.unwrap_or(Err(ReadError::Busy))
    }

    /// Returns a random id, which nobody has.
    fn unknown_id(&self) -> UserId {
        let mut id = "usr_".to_owned();
        domain::profile::push_hex(&mut id, &self.services.random::<16>());
        UserId::parse(&id).unwrap_or_else(|_| unreachable!("32 hexadecimal digits are an id"))
    }
}
