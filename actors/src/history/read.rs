//! Reads of the past, under the mask of today.

use std::sync::Arc;

use domain::access::{Viewer, Visibility};
use domain::id::UserId;
use domain::schema_version::SchemaVersion;
use domain::state::UserState;

use super::difference::Difference;
use super::page::{RevisionPage, page};
use super::point::{HistoryFault, HistoryPoint};
use super::resolve::PastNeed;
use crate::error::ReadError;
use crate::reading::{ReadInput, ReadProvenance, ReadView, Reading, View, ViewWithProvenance};
use crate::request::{CommittedHead, GetHead, Request};
use crate::runtime::Runtime;

impl Runtime {
    /// Returns the view of a user at a point, in a schema version.
    ///
    /// # Errors
    /// As [`Self::read`], and if too many reads through history wait.
    pub(crate) async fn view_at(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        point: HistoryPoint,
    ) -> Result<Result<View, HistoryFault>, ReadError> {
        self.read_at(user, viewer, ReadView { schema }, (point, PastNeed::Profile)).await
    }

    /// Returns the view of a user at a point, and where its values came from when the revision was made.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub(crate) async fn provenance_at(
        &self,
        user: UserId,
        viewer: &Viewer,
        reading: ReadProvenance,
        point: HistoryPoint,
    ) -> Result<Result<ViewWithProvenance, HistoryFault>, ReadError> {
        self.read_at(user, viewer, reading, (point, PastNeed::Documents)).await
    }

    /// Answers a read from the state at a point.
    async fn read_at<R: Reading>(
        &self,
        user: UserId,
        viewer: &Viewer,
        reading: R,
        (point, need): (HistoryPoint, PastNeed),
    ) -> Result<Result<R::Answer, HistoryFault>, ReadError> {
        let question = async {
            let head = self.visible_head(user, viewer).await?;
            let past = match self.state_at(user, &head, point, need).await? {
                Ok(past) => past,
                // Whoever may see the user no more learns nothing of the history either.
                Err(fault) => return self.answer_today(user, viewer, |_, _| Ok(Err(fault))).await,
            };
            self.answer_today(user, viewer, |_, input| reading.answer(&input.of(&past)?).map(Ok)).await
        };
        self.ask_for(user, viewer, question).await
    }

    /// Returns the difference between a user's views at two points; `None` stands for the head.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub(crate) async fn difference(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        (from, to): (HistoryPoint, Option<HistoryPoint>),
    ) -> Result<Result<Difference, HistoryFault>, ReadError> {
        let question = async {
            let head = self.visible_head(user, viewer).await?;
            let states = async {
                let from = match self.state_at(user, &head, from, PastNeed::Profile).await? {
                    Ok(from) => from,
                    Err(fault) => return Ok(Err(fault)),
                };
                let to = match to {
                    Some(to) => self.state_at(user, &head, to, PastNeed::Profile).await?.map(Some),
                    None => Ok(None),
                };
                Ok::<_, ReadError>(to.map(|to| (from, to)))
            };
            let (from, to) = match states.await? {
                Ok(states) => states,
                Err(fault) => return Ok(Err(fault)),
            };
            let answer = |head: &CommittedHead, input: &ReadInput<'_>| {
                let to = to.as_ref().unwrap_or(&head.state);
                Ok(Ok(Difference::between(&input.of(&from)?, &input.of(to)?, schema)))
            };
            self.answer_today(user, viewer, answer).await
        };
        self.ask_for(user, viewer, question).await
    }

    /// Returns a page of a user's revisions, newest first: at most `limit` before revision `before`, or the newest ones.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub(crate) async fn revisions(
        &self,
        user: UserId,
        viewer: &Viewer,
        before: Option<u64>,
        limit: usize,
    ) -> Result<RevisionPage, ReadError> {
        let question = async {
            let head = self.visible_head(user, viewer).await?;
            let newest = head.envelope.revision;
            let last = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
            let first = head.salts.first_revision;
            let entries = self.history.read(move |store| page(store, &user, first, last, limit)).await?;
            let generation = head.generation;
            let answer = |_: &CommittedHead, input: &ReadInput<'_>| {
                if input.state.generation != generation {
                    return Err(ReadError::Unknown);
                }
                Ok(RevisionPage::new(&entries, viewer, input, first, limit))
            };
            self.answer_today(user, viewer, answer).await
        };
        self.ask_for(user, viewer, question).await
    }

    /// Returns the committed state of a user, rolled to today, if the viewer may see the user.
    pub(super) async fn visible_head(&self, user: UserId, viewer: &Viewer) -> Result<Arc<UserState>, ReadError> {
        // The lease of the head is not kept: while the read waits for its turn, the actor may end.
        let head = self.ask(user, |answer| Request::GetHead(GetHead { answer })).await?;
        let visibility = self.services.policy.load().visibility(viewer, &user, head.state.consent());
        if visibility == Visibility::Hidden { Err(ReadError::Unknown) } else { Ok(head.state) }
    }

    /// Makes an answer under the mask of the head, which is taken when the past has been read: the citizen may have withdrawn
    /// consent meanwhile.
    pub(super) async fn answer_today<T>(
        &self,
        user: UserId,
        viewer: &Viewer,
        answer: impl FnOnce(&CommittedHead, &ReadInput<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let head = self.ask(user, |answer| Request::GetHead(GetHead { answer })).await?;
        self.answer_from(&user, viewer, &head, answer)
    }
}

impl<'a> ReadInput<'a> {
    /// Returns the input for another state of the same user, under the same mask.
    ///
    /// # Errors
    /// The state is of another erasure generation, which nobody may read any more.
    pub(super) fn of(&self, state: &'a UserState) -> Result<Self, ReadError> {
        if state.generation == self.state.generation { Ok(Self { state, ..*self }) } else { Err(ReadError::Unknown) }
    }
}
