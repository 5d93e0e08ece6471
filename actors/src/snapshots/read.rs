//! Reads snapshots from the store. The functions of [`StoredSnapshots`] block.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{HistoryWalk, Rewind, SnapshotScan};
use domain::rules::Rules;
use domain::snapshot::{Snapshot, SnapshotPeriods, snapshots};
use domain::state::UserState;

use super::details::RevisionDetails;
use crate::error::ReadError;
use crate::runtime::Runtime;

/// The snapshots in the store.
pub(crate) struct StoredSnapshots<'a> {
    store: &'a dyn ProfileStore,
    rules: &'a Rules,
    periods: SnapshotPeriods,
}

impl Runtime {
    /// Reads snapshots on a thread for reads through history.
    ///
    /// # Errors
    /// Too many reads wait, or the store cannot be read.
    pub(crate) async fn read_snapshots<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoredSnapshots<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (rules, periods) = (Arc::clone(&self.services.rules), self.services.options.snapshot_periods);
        self.history.read(move |store| read(&StoredSnapshots { store, rules: &rules, periods })).await
    }
}

impl StoredSnapshots<'_> {
    /// Returns a user's snapshots at `now`, the newest first.
    pub(crate) fn list(&self, user: &UserId, now: i64) -> Result<Vec<Snapshot>, StoreError> {
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
