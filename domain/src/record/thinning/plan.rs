//! Which records of a history stay.

use std::collections::BTreeSet;

use super::{SPACING_PARTS, ThinHistory};
use crate::day::Day;
use crate::port::retention::SideRecords;
use crate::port::store::{SideKey, SideKind, StoreError};
use crate::record::block::records;
use crate::record::codec::DecodeError;
use crate::record::history_step::HistoryStep;
use crate::record::snapshot_record::key;
use crate::snapshot::{DailyPoint, SnapshotMarks, daily_snapshots};

/// A record of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) sequence: u64,
    /// The revision that the record makes.
    revision: Option<DailyPoint>,
    /// The number of the block that has the record.
    block: u64,
    /// Whether the state at the record stays reachable.
    pub(super) stays: bool,
}

/// What becomes of a history.
pub(super) struct Plan {
    /// The records in the order of their sequences.
    pub(super) points: Vec<Point>,
    /// The numbers of all blocks, ascending.
    pub(super) blocks: Vec<u64>,
    /// The blocks that are written anew, a run of records each that ends at a block that is not.
    pub(super) dirty: BTreeSet<u64>,
    /// The index of the last point of the part that is thinned.
    end: Option<usize>,
    daily: Vec<DailyPoint>,
}

impl Plan {
    /// Reads a history, and decides what stays at `now`.
    pub(super) fn read(
        retention: &ThinHistory,
        side: &dyn SideRecords,
        marks: &SnapshotMarks,
        now: i64,
    ) -> Result<Self, StoreError> {
        let (mut blocks, mut points): (Vec<u64>, Vec<Point>) = Default::default();
        for key in side.keys(SideKind::HISTORY)? {
            // Blocks of an earlier generation can no longer be read.
            if let Some(body) = side.read(key)? {
                read_points(key.number, &body, &mut points)?;
                blocks.push(key.number);
            }
        }
        let revisions: Vec<DailyPoint> = points.iter().filter_map(|point| point.revision).collect();
        let today = Day::at(now, &retention.zone);
        let oldest = now.saturating_sub(retention.periods.daily);
        let daily = daily_snapshots(&revisions, &marks.removed_revisions(), &retention.zone, today, oldest);
        let cutoff = now.saturating_sub(retention.periods.revisions);
        let end = points.iter().rposition(|point| point.revision.is_some_and(|made| made.generated_at <= cutoff));
        let mut plan = Self { points, blocks, dirty: BTreeSet::new(), end, daily };
        plan.decide(marks, now);
        Ok(plan)
    }

    /// Marks the points that stay, and the blocks that change.
    fn decide(&mut self, marks: &SnapshotMarks, now: i64) {
        let Some(end) = self.end else { return };
        let mut kept: BTreeSet<u64> = self.daily.iter().map(|point| point.revision).collect();
        let newest = self.newest_snapshot(marks);
        let is_kept = |(taken, expires_at): (u64, i64)| expires_at > now || Some(taken) == newest;
        let requested = marks.requested.iter().filter(|(taken, snapshot)| is_kept((**taken, snapshot.expires_at)));
        kept.extend(requested.map(|(_, snapshot)| snapshot.revision));
        for point in &mut self.points[..end] {
            point.stays = point.revision.is_some_and(|made| kept.contains(&made.revision));
        }
        let mut has_dropped = false;
        for point in &self.points[..=end] {
            if !point.stays || has_dropped {
                self.dirty.insert(point.block);
            }
            has_dropped = !point.stays;
        }
    }

    /// Returns whether anything is dropped.
    pub(super) fn drops(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Returns the sequence of the record that took the newest snapshot of all; `None` if that is a daily one.
    fn newest_snapshot(&self, marks: &SnapshotMarks) -> Option<u64> {
        let newest = marks.requested.iter().max_by_key(|(taken, snapshot)| (snapshot.created_at, **taken));
        let daily = self.daily.last().map(|daily| daily.generated_at);
        newest.filter(|(_, snapshot)| daily <= Some(snapshot.created_at)).map(|(taken, _)| *taken)
    }

    /// Returns the keys of the marks about snapshots that have expired.
    pub(super) fn expired_marks(&self, retention: &ThinHistory, marks: &SnapshotMarks, now: i64) -> Vec<SideKey> {
        let newest = self.newest_snapshot(marks);
        let requested = marks.requested.iter();
        let requested = requested.filter(|(taken, snapshot)| snapshot.expires_at <= now && Some(**taken) != newest);
        let oldest = now.saturating_sub(retention.periods.daily);
        // While a revision stays for another reason, the mark says that it is no daily snapshot.
        let stays = |revision: u64| {
            let mut points = self.points.iter().filter(|point| point.stays);
            points.any(|point| point.revision.is_some_and(|made| made.revision == revision))
        };
        let removed = marks.daily_removed.iter();
        let removed = removed.filter(|(_, (revision, generated_at))| *generated_at <= oldest && !stays(*revision));
        requested.map(|(taken, _)| key(*taken)).chain(removed.map(|(sequence, _)| key(*sequence))).collect()
    }

    /// Returns when the history may next have something to remove.
    pub(super) fn due(&self, retention: &ThinHistory, marks: &SnapshotMarks, now: i64) -> i64 {
        let periods = retention.periods;
        let after = self.end.map_or(0, |end| end + 1);
        // A revision can go when the one after it is old enough.
        let mut superseding = self.points[after..].iter().filter_map(|point| point.revision);
        let next = if self.end.is_some() { superseding.next() } else { superseding.nth(1) };
        let next = next.map(|point| point.generated_at.saturating_add(periods.revisions));
        let daily = self.daily.first().filter(|_| self.daily.len() > 1);
        let daily = daily.map(|point| point.generated_at.saturating_add(periods.daily));
        let requested =
            marks.requested.values().map(|snapshot| snapshot.expires_at).filter(|expiry| *expiry > now).min();
        let due = [next, daily, requested].into_iter().flatten().min().unwrap_or(i64::MAX);
        // Records that come later can go no sooner than after the whole period.
        due.clamp(now.saturating_add(periods.revisions / SPACING_PARTS), now.saturating_add(periods.revisions))
    }
}

fn read_points(block: u64, body: &[u8], points: &mut Vec<Point>) -> Result<(), DecodeError> {
    for record in records(body)? {
        let step = HistoryStep::decode(record)?;
        let last = points.last().map_or(0, |last| last.sequence);
        if step.base_sequence() != last {
            return Err(DecodeError::Unknown { what: "predecessor" });
        }
        let revision = match (step.revision(), step.generated_at()) {
            (Some(revision), Some(generated_at)) => Some(DailyPoint { revision, generated_at }),
            _ => None,
        };
        points.push(Point { sequence: record.sequence, revision, block, stays: true });
    }
    Ok(())
}
