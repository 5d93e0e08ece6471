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
    ) -> Result<Resolved, ReadError> {
        let target = match point {
            HistoryPoint::Revision(revision) => PastTarget::Revision(revision),
            HistoryPoint::AsOf(instant) => PastTarget::AsOf(instant),
            HistoryPoint::Snapshot(id) => match self.revision_of_snapshot(user, &id).await? {
                Some(revision) => PastTarget::Revision(revision),
                None => return Ok(Err(HistoryFault::UnknownSnapshot)),
            },
        };
        let (envelope, first) = (&head.envelope, head.salts.first_revision);
        match target {
            PastTarget::Revision(revision) if !(first..=envelope.revision).contains(&revision) => {
                return Ok(Err(HistoryFault::UnknownRevision));
            }
            PastTarget::AsOf(instant) if instant > self.services.clock.now_micros().max(envelope.generated_at) => {
                return Ok(Err(HistoryFault::Future));
            }
            PastTarget::Revision(revision) if revision == envelope.revision => return Ok(Ok(Arc::clone(head))),
            PastTarget::AsOf(instant) if instant >= envelope.generated_at => return Ok(Ok(Arc::clone(head))),
            _ => {}
        }
        let outcome = self.history.read(move |store| find(store, &user, target)).await?;
        Ok(match outcome {
            PastOutcome::Found(state) => Ok(Arc::from(state)),
            PastOutcome::BeforeFirst => Err(HistoryFault::UnknownRevision),
            PastOutcome::Gone { retained_from } => Err(HistoryFault::Gone { retained_from }),
            // The head is newer than the target and durable, so history has lost what comes before it.
            PastOutcome::NotReached => Err(HistoryFault::Gone { retained_from: envelope.generated_at }),
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

fn find(store: &dyn ProfileStore, user: &UserId, target: PastTarget) -> Result<PastOutcome, StoreError> {
    let mut search = PastSearch::new(target);
    store.load_history(user, target.since(), &mut search)?;
    Ok(search.finish())
}
