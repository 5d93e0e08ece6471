//! The states at points in a user's history.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{PastOutcome, PastSearch, PastTarget};
use domain::snapshot::SnapshotId;
use domain::state::UserState;

use super::point::{HistoryFault, HistoryPoint};
use crate::error::ReadError;
use crate::runtime::Runtime;

/// The state at a point, or why there is none.
pub(super) type Resolved = Result<Arc<UserState>, HistoryFault>;

/// What a reader of the past needs of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PastNeed {
    /// The profile.
    Profile,
    /// The profile, and the documents that its revision was made with.
    Documents,
}

/// Where a point is.
enum PointLocation {
    /// At the newest revision.
    Head,
    /// At an earlier one.
    Before(PastTarget),
}

impl Runtime {
    /// Returns a user's state at a point. `head` is the user's committed state.
    ///
    /// # Errors
    /// Too many reads through history wait, or history cannot be read.
    pub(super) async fn state_at(
        &self,
        user: UserId,
        head: &Arc<UserState>,
        point: HistoryPoint,
        need: PastNeed,
    ) -> Result<Resolved, ReadError> {
        let newest = head.envelope.revision;
        let target = match (self.location_of(user, head, point).await?, need) {
            (Err(fault), _) => return Ok(Err(fault)),
            (Ok(PointLocation::Head), PastNeed::Profile) => return Ok(Ok(Arc::clone(head))),
            // Events that came after the newest revision may have changed its documents.
            (Ok(PointLocation::Head), PastNeed::Documents) => PastTarget::Made(newest),
            (Ok(PointLocation::Before(PastTarget::Revision(revision))), PastNeed::Documents) => {
                PastTarget::Made(revision)
            }
            (Ok(PointLocation::Before(target)), _) => target,
        };
        let outcome = self.history.read(move |store| find(store, &user, target, need)).await?;
        Ok(match outcome {
            PastOutcome::Found(state) => Ok(Arc::from(state)),
            PastOutcome::BeforeFirst => Err(HistoryFault::UnknownRevision),
            PastOutcome::Gone { retained_from } => Err(HistoryFault::Gone { retained_from }),
            // The head is durable and not older than the target, so history has lost what leads to it.
            PastOutcome::NotReached => Err(HistoryFault::Gone { retained_from: head.envelope.generated_at }),
        })
    }

    /// Returns where a point is, or why it cannot be read.
    ///
    /// # Errors
    /// As [`Self::state_at`].
    async fn location_of(
        &self,
        user: UserId,
        head: &UserState,
        point: HistoryPoint,
    ) -> Result<Result<PointLocation, HistoryFault>, ReadError> {
        let target = match point {
            HistoryPoint::Revision(revision) => PastTarget::Revision(revision),
            HistoryPoint::AsOf(instant) => PastTarget::AsOf(instant),
            HistoryPoint::Snapshot(id) => match self.revision_of_snapshot(user, &id).await? {
                Some(revision) => PastTarget::Revision(revision),
                None => return Ok(Err(HistoryFault::UnknownSnapshot)),
            },
        };
        let (envelope, first) = (&head.envelope, head.salts.first_revision);
        Ok(match target {
            PastTarget::Revision(revision) if !(first..=envelope.revision).contains(&revision) => {
                Err(HistoryFault::UnknownRevision)
            }
            PastTarget::AsOf(instant) if instant > self.services.clock.now_micros().max(envelope.generated_at) => {
                Err(HistoryFault::Future)
            }
            PastTarget::Revision(revision) if revision == envelope.revision => Ok(PointLocation::Head),
            PastTarget::AsOf(instant) if instant >= envelope.generated_at => Ok(PointLocation::Head),
            earlier => Ok(PointLocation::Before(earlier)),
        })
    }

    /// Returns the revision of a snapshot; `None` if the user has none with this id.
    ///
    /// # Errors
    /// Too many reads through history wait, or history cannot be read.
    async fn revision_of_snapshot(&self, user: UserId, id: &str) -> Result<Option<u64>, ReadError> {
        let Ok(id) = SnapshotId::parse(id) else { return Ok(None) };
        let now = self.services.clock.now_micros();
        let listed = self.read_snapshots(move |stored| stored.list(&user, now)).await?;
        Ok(listed.into_iter().find(|snapshot| snapshot.id == id).map(|snapshot| snapshot.revision))
    }
}

/// Searches for a state. Blocks.
fn find(
    store: &dyn ProfileStore,
    user: &UserId,
    target: PastTarget,
    need: PastNeed,
) -> Result<PastOutcome, StoreError> {
    let mut search = PastSearch::new(target);
    store.load_history(user, target.since(), &mut search)?;
    match (search.finish(), target) {
        // Which revision there was at an instant is known only when it is found.
        (PastOutcome::Found(state), PastTarget::AsOf(_)) if need == PastNeed::Documents => {
            find(store, user, PastTarget::Made(state.envelope.revision), need)
        }
        (outcome, _) => Ok(outcome),
    }
}
