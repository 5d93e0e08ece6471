//! Reads snapshots from the store. The functions of [`StoredSnapshots`] block.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{HistoryWalk, Rewind, SnapshotScan};
use domain::rules::Rules;
use domain::snapshot::{Snapshot, SnapshotPeriods, snapshots};
use domain::state::UserState;
use tokio::sync::Semaphore;

use super::details::RevisionDetails;
use crate::error::ReadError;

/// Maximum number of reads of snapshots at the same time.
const MAX_READS: usize = 4;
/// Maximum number of reads that wait for one of these places.
const MAX_WAITING: usize = 256;

/// Runs reads of snapshots on threads that may block.
pub(crate) struct SnapshotReader {
    stored: Arc<StoredSnapshots>,
    places: Semaphore,
    waiting: Semaphore,
}

/// The snapshots in the store.
pub(super) struct StoredSnapshots {
    store: Arc<dyn ProfileStore>,
    rules: Arc<Rules>,
    periods: SnapshotPeriods,
}

impl SnapshotReader {
    pub(crate) fn new(store: Arc<dyn ProfileStore>, rules: Arc<Rules>, periods: SnapshotPeriods) -> Self {
        let stored = Arc::new(StoredSnapshots { store, rules, periods });
        Self { stored, places: Semaphore::new(MAX_READS), waiting: Semaphore::new(MAX_WAITING) }
    }

    /// Runs `read` on a thread that may block, when there is a place for it.
    ///
    /// # Errors
    /// Too many reads wait, or the store cannot be read.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoredSnapshots) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| ReadError::Busy)?;
        let _place = self.places.acquire().await.map_err(|_| ReadError::Busy)?;
        let stored = Arc::clone(&self.stored);
        let work = move || catch_unwind(AssertUnwindSafe(|| read(&stored)));
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "a user's snapshots could not be read");
                Err(ReadError::Unavailable)
            }
            Ok(Err(_)) | Err(_) => {
                tracing::error!("reading a user's snapshots panicked");
                Err(ReadError::Unavailable)
            }
        }
    }
}

impl StoredSnapshots {
    /// Returns a user's snapshots at `now`, the newest first.
    pub(super) fn list(&self, user: &UserId, now: i64) -> Result<Vec<Snapshot>, StoreError> {
        let mut scan = SnapshotScan::default();
        self.store.load_history(user, 0, &mut scan)?;
        let found = scan.finish();
        let Some(profile_id) = found.profile_id else { return Ok(Vec::new()) };
        Ok(snapshots(&found.points, &found.marks, (profile_id, &self.rules.zone, self.periods), now))
    }

    /// Returns how many snapshots a user has at `now` that somebody asked for.
    pub(super) fn count_requested(&self, user: &UserId, now: i64) -> Result<usize, StoreError> {
        let mut scan = SnapshotScan::for_marks();
        self.store.load_history(user, 0, &mut scan)?;
        Ok(scan.finish().marks.requested.values().filter(|snapshot| snapshot.expires_at > now).count())
    }

    /// Returns what is told of the revisions of snapshots. One that is no longer there is left out.
    pub(super) fn details(
        &self,
        user: &UserId,
        page: &[Snapshot],
    ) -> Result<Vec<(Snapshot, RevisionDetails)>, StoreError> {
        let revisions = page.iter().map(|snapshot| snapshot.revision);
        let (Some(first), Some(last)) = (revisions.clone().min(), revisions.clone().max()) else {
            return Ok(Vec::new());
        };
        let wanted: BTreeSet<u64> = revisions.collect();
        let mut found: BTreeMap<u64, RevisionDetails> = BTreeMap::new();
        let mut visit = |state: &UserState| {
            if wanted.contains(&state.envelope.revision) {
                found.insert(state.envelope.revision, RevisionDetails::from_state(state));
            }
        };
        let mut walk = HistoryWalk::new(first, last, &mut visit);
        self.store.load_history(user, first, &mut walk)?;
        walk.finish();
        let details = page.iter().filter_map(|snapshot| Some((*snapshot, found.get(&snapshot.revision)?.clone())));
        Ok(details.collect())
    }

    /// Returns the state at a revision; `None` if it cannot be reached.
    pub(super) fn state(&self, user: &UserId, revision: u64) -> Result<Option<UserState>, StoreError> {
        let mut rewind = Rewind::new(revision);
        self.store.load_history(user, revision, &mut rewind)?;
        Ok(rewind.finish().state)
    }
}
