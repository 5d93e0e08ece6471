//! How callers ask a user's actor, and how reads are answered from what it says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use domain::access::{Viewer, Visibility};
use domain::id::UserId;
use domain::schema_version::SchemaVersion;
use tokio::sync::oneshot;

use crate::error::{Busy, ReadError};
use crate::reading::{ReadInput, ReadView, Reading, View};
use crate::request::{CommittedHead, GetHead, Request};
use crate::runtime::Runtime;

impl Runtime {
    /// Asks a user's actor, and waits for the answer.
    ///
    /// # Errors
    /// A queue is full, the actor ended before it answered, or the answer is an error.
    pub(crate) async fn ask<T>(
        &self,
        user: UserId,
        request: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Request,
    ) -> Result<T, ReadError> {
        let (sender, answer) = oneshot::channel();
        self.dispatch(user, request(sender)).map_err(|_| Busy)?;
        // An actor that ends with the request in its mailbox drops the sender.
        answer.await.unwrap_or(Err(ReadError::Busy))
    }

    /// Asks on behalf of a viewer: `question` is not begun before it is known that the viewer may know of the user. A viewer
    /// who must not learn whether a user exists gets "unknown" in the same way for hidden and for unknown users.
    ///
    /// # Errors
    /// Those of `question`; those of [`Self::is_shown`].
    pub(crate) async fn ask_for<T>(
        &self,
        user: UserId,
        viewer: &Viewer,
        question: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let may_be_hidden = viewer.existence_may_be_hidden();
        if may_be_hidden && !self.is_shown(user, viewer).await? {
            return Err(ReadError::Unknown);
        }
        match question.await {
            // The user was hidden meanwhile.
            Err(ReadError::Unknown) if may_be_hidden => {
                self.look_up_nobody(user).await?;
                Err(ReadError::Unknown)
            }
            answer => answer,
        }
    }

    /// Answers a read from the committed head.
    ///
    /// # Errors
    /// The user is unknown or hidden, a limit is reached, the stored state cannot be read, or `reading` fails.
    pub(crate) async fn read<R: Reading>(
        &self,
        user: UserId,
        viewer: &Viewer,
        reading: R,
    ) -> Result<R::Answer, ReadError> {
        self.read_head(user, viewer, |_, input| reading.answer(input)).await
    }

    /// Returns the view of the committed head in a schema version, and caches it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn read_view(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
    ) -> Result<View, ReadError> {
        self.read_head(user, viewer, |head, input| self.view_of_head(user, head, input, schema)).await
    }

    /// Returns a cached view if the head cell, the day and the mask allow it.
    pub(crate) fn cached_view(&self, user: &UserId, viewer: &Viewer, schema: SchemaVersion) -> Option<View> {
        let services = &self.services;
        let views = services.cache.current(user, services.today())?;
        match services.policy.load().visibility(viewer, user, views.consent) {
            Visibility::Mask(mask) => views.get(mask, schema),
            // A denial must take the same path as for a user that does not exist.
            Visibility::Hidden => None,
        }
    }

    /// Returns the view of a head: from the cache if another reader has made it meanwhile, otherwise it is made and cached.
    fn view_of_head(
        &self,
        user: UserId,
        head: &CommittedHead,
        input: &ReadInput<'_>,
        schema: SchemaVersion,
    ) -> Result<View, ReadError> {
        let services = &self.services;
        let make = || {
            let started = Instant::now();
            let view = ReadView { schema }.answer(input);
            services.metrics.stage_serialize.record(started.elapsed());
            view
        };
        if head.is_stale {
            return make();
        }
        let cached = services.cache.of_state(&user, &head.state);
        if let Some(view) = cached.and_then(|views| views.get(input.mask, schema)) {
            return Ok(view);
        }
        let view = make()?;
        services.cache.insert(user, head.lease.cell(), &head.state, &view);
        Ok(view)
    }

    /// Returns the view of a head that was taken before.
    #[cfg(test)]
    pub(crate) fn view_from(&self, user: &UserId, viewer: &Viewer, head: &CommittedHead) -> Result<View, ReadError> {
        self.answer_from(user, viewer, head, |head, input| self.view_of_head(*user, head, input, SchemaVersion::NEWEST))
    }

    /// Takes the committed head, and has `read` make the answer from it on this thread.
    async fn read_head<T>(
        &self,
        user: UserId,
        viewer: &Viewer,
        read: impl FnOnce(&CommittedHead, &ReadInput<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let question = async {
            let head = self.ask(user, |answer| Request::GetHead(GetHead { answer })).await?;
            self.answer_from(&user, viewer, &head, read)
        };
        self.ask_for(user, viewer, question).await
    }

    /// Makes an answer from a head. A user that is hidden from the viewer is unknown.
    pub(crate) fn answer_from<T>(
        &self,
        user: &UserId,
        viewer: &Viewer,
        head: &CommittedHead,
        read: impl FnOnce(&CommittedHead, &ReadInput<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let (state, services) = (&*head.state, &self.services);
        let policy = &services.policy.load();
        let Visibility::Mask(mask) = policy.visibility(viewer, user, state.consent()) else {
            return Err(ReadError::Unknown);
        };
        let input = ReadInput { state, mask, rules: &services.rules, policy, viewer };
        catch_unwind(AssertUnwindSafe(|| read(head, &input))).unwrap_or_else(|_| {
            tracing::error!("a read panicked: its caller gets an error, and nothing else is affected");
            Err(ReadError::Unavailable)
        })
    }
}
