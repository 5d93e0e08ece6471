//! What callers ask for.

use domain::access::Viewer;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::snapshot::{Snapshot, SnapshotId, SnapshotMark, SnapshotTrigger};
use domain::table::LeafSet;

use super::details::{RevisionDetails, SnapshotDetails};
use super::read::StoredSnapshots;
use crate::error::ReadError;
use crate::reading::{ReadInput, Reading};
use crate::request::{MarkSnapshot, MarkedState, Request, SnapshotOrder};
use crate::runtime::Runtime;

/// Why a snapshot was not taken, read or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The user cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The user has no such snapshot.
    #[error("there is no such snapshot")]
    Unknown,
    /// The user has as many snapshots as there may be.
    #[error("the user has {limit} snapshots, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// The place of a snapshot in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPosition {
    /// When it was taken, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// The sequence of the record that took it; 0 for a daily one.
    pub taken: u64,
}

/// A page of snapshots, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The snapshots.
    pub items: Vec<SnapshotDetails>,
    /// The last one of the page, after which the next page begins; `None` if there are no more.
    pub next: Option<SnapshotPosition>,
    /// The leaves that the viewer may see.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

/// A snapshot and the profile at its revision, as one viewer may see them.
#[derive(Debug, Clone)]
pub struct PastView {
    /// The snapshot.
    pub snapshot: SnapshotDetails,
    /// The profile in canonical JSON; `None` where only the snapshot was asked for.
    pub profile: Option<Vec<u8>>,
    /// The leaves that the viewer may see.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

/// Asks what a viewer may see now.
struct ReadMask;

impl Reading for ReadMask {
    type Answer = (LeafSet, u32);

    fn answer(&self, input: &ReadInput<'_>) -> Result<Self::Answer, ReadError> {
        Ok((input.mask, input.state.generation))
    }
}

impl Runtime {
    /// Takes a snapshot of the newest revision. `sees_sources` says whether the viewer may see where values come from.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub(crate) async fn take_snapshot(
        &self,
        user: UserId,
        viewer: &Viewer,
        trigger: SnapshotTrigger,
        sees_sources: bool,
    ) -> Result<PastView, SnapshotError> {
        let (_, begun) = self.read(user, viewer, ReadMask).await?;
        let _turn = self.snapshot_turns.take(&user).await;
        let now = self.services.clock.now_micros();
        let taken = self.read_snapshots(move |stored| stored.count_requested(&user, now)).await?;
        let limit = self.services.options.max_snapshots;
        if taken >= limit {
            return Err(SnapshotError::TooMany { limit });
        }
        let order = SnapshotOrder::Take(trigger);
        let MarkedState { state, mark } =
            self.ask(user, |answer| Request::MarkSnapshot(MarkSnapshot { order, answer })).await?;
        let SnapshotMark::Taken(requested) = mark else { return Err(ReadError::Unavailable.into()) };
        self.services.metrics.snapshots.increment(1);
        let (leaves, generation) = self.read_mask_again(user, viewer, begun).await?;
        let snapshot = Snapshot {
            id: requested.id,
            revision: requested.revision,
            created_at: requested.created_at,
            expires_at: requested.expires_at,
            trigger: requested.trigger,
            taken: state.sequence,
        };
        let snapshot = RevisionDetails::from_state(&state).masked(&snapshot, leaves, sees_sources);
        Ok(PastView { snapshot, profile: None, leaves, generation })
    }

    /// Returns up to `limit` snapshots after a position in the list, the newest first.
    ///
    /// # Errors
    /// The user cannot be read.
    pub(crate) async fn snapshots(
        &self,
        user: UserId,
        viewer: &Viewer,
        (after, limit): (Option<SnapshotPosition>, usize),
        sees_sources: bool,
    ) -> Result<SnapshotPage, ReadError> {
        let (_, begun) = self.read(user, viewer, ReadMask).await?;
        let now = self.services.clock.now_micros();
        let read = move |stored: &StoredSnapshots<'_>| {
            let position = |snapshot: &Snapshot| (snapshot.created_at, snapshot.taken);
            let is_after =
                |snapshot: &Snapshot| after.is_none_or(|after| position(snapshot) < (after.created_at, after.taken));
            let mut page: Vec<Snapshot> =
                stored.list(&user, now)?.into_iter().filter(is_after).take(limit + 1).collect();
            let has_more = page.len() > limit;
            page.truncate(limit);
            let next = page.last().filter(|_| has_more);
            let next = next.map(|last| SnapshotPosition { created_at: last.created_at, taken: last.taken });
            Ok((stored.details(&user, &page)?, next))
        };
        let (found, next) = self.read_snapshots(read).await?;
        // The mask of after the reads: what a citizen has withdrawn meanwhile is not told.
        let (leaves, generation) = self.read_mask_again(user, viewer, begun).await?;
        let items = found.into_iter().map(|(snapshot, details)| details.masked(&snapshot, leaves, sees_sources));
        Ok(SnapshotPage { items: items.collect(), next, leaves, generation })
    }

    /// Returns a snapshot, and the profile at its revision under the mask of today.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub(crate) async fn snapshot(
        &self,
        user: UserId,
        viewer: &Viewer,
        id: SnapshotId,
        sees_sources: bool,
    ) -> Result<PastView, SnapshotError> {
        let (_, begun) = self.read(user, viewer, ReadMask).await?;
        let now = self.services.clock.now_micros();
        let read = move |stored: &StoredSnapshots<'_>| {
            let Some(snapshot) = stored.list(&user, now)?.into_iter().find(|snapshot| snapshot.id == id) else {
                return Ok(None);
            };
            let state = stored.state(&user, snapshot.revision)?;
            Ok(state.map(|state| (snapshot, state)))
        };
        let (snapshot, state) = self.read_snapshots(read).await?.ok_or(SnapshotError::Unknown)?;
        let (leaves, generation) = self.read_mask_again(user, viewer, begun).await?;
        let profile = Some(serialize::view(&state, MaskClass::for_profile(leaves)));
        let snapshot = RevisionDetails::from_state(&state).masked(&snapshot, leaves, sees_sources);
        Ok(PastView { snapshot, profile, leaves, generation })
    }

    /// Returns what a viewer may see after snapshots were read. If the user was erased since the generation `begun`, what was read
    /// is nobody's any more.
    async fn read_mask_again(&self, user: UserId, viewer: &Viewer, begun: u32) -> Result<(LeafSet, u32), ReadError> {
        let (leaves, generation) = self.read(user, viewer, ReadMask).await?;
        if generation == begun { Ok((leaves, generation)) } else { Err(ReadError::Unknown) }
    }

    /// Removes a snapshot. Its revision stays reachable for as long as any revision does.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub(crate) async fn remove_snapshot(
        &self,
        user: UserId,
        viewer: &Viewer,
        id: SnapshotId,
    ) -> Result<(), SnapshotError> {
        self.read(user, viewer, ReadMask).await?;
        let _turn = self.snapshot_turns.take(&user).await;
        let now = self.services.clock.now_micros();
        let listed = self.read_snapshots(move |stored| stored.list(&user, now)).await?;
        let snapshot = listed.into_iter().find(|snapshot| snapshot.id == id).ok_or(SnapshotError::Unknown)?;
        let mark = match snapshot.taken {
            0 => SnapshotMark::DailyRemoved { revision: snapshot.revision, generated_at: snapshot.created_at },
            taken => SnapshotMark::Removed { taken },
        };
        let order = SnapshotOrder::Remove(mark);
        self.ask(user, |answer| Request::MarkSnapshot(MarkSnapshot { order, answer })).await?;
        Ok(())
    }
}
