//! Which snapshots a user has at a moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::{RequestedSnapshot, SnapshotId, SnapshotMark, SnapshotTrigger};
use crate::day::Day;
use crate::id::ProfileId;

/// How long history and snapshots are kept, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPeriods {
    /// How long every revision stays reachable.
    pub revisions: i64,
    /// How long a snapshot that somebody asked for is kept.
    pub requested: i64,
    /// How long daily snapshots are kept.
    pub daily: i64,
}

/// A revision that may be the last one of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyPoint {
    /// The revision.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
}

/// The marks of a user's records about snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMarks {
    /// The snapshots that were asked for, by the sequence of their record.
    pub requested: BTreeMap<u64, RequestedSnapshot>,
    /// The revisions whose daily snapshot was removed, by the sequence of the record that says so, with the time at which
    /// they were generated.
    pub daily_removed: BTreeMap<u64, (u64, i64)>,
}

impl SnapshotMarks {
    /// Applies the mark of the record with a sequence.
    pub fn apply(&mut self, sequence: u64, mark: SnapshotMark) {
        match mark {
            SnapshotMark::Taken(snapshot) => drop(self.requested.insert(sequence, snapshot)),
            SnapshotMark::Removed { taken } => drop(self.requested.remove(&taken)),
            SnapshotMark::DailyRemoved { revision, generated_at } => {
                self.daily_removed.insert(sequence, (revision, generated_at));
            }
        }
    }

    /// Returns the revisions whose daily snapshot was removed.
    pub fn removed_revisions(&self) -> BTreeSet<u64> {
        self.daily_removed.values().map(|(revision, _)| *revision).collect()
    }
}

/// A snapshot of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The id.
    pub id: SnapshotId,
    /// The revision.
    pub revision: u64,
    /// When it was taken; for a daily one when its revision was generated. In microseconds since the Unix epoch.
    pub created_at: i64,
    /// When it may be removed, in microseconds since the Unix epoch.
    pub expires_at: i64,
    /// Why it exists.
    pub trigger: SnapshotTrigger,
    /// The sequence of the record that took it; 0 for a daily one.
    pub taken: u64,
}

/// Returns the daily snapshots among `points`, which are revisions in ascending order: the last one of each day before
/// `today`. Those that are removed or older than `oldest` are not among them, but the newest one always is, unless it is
/// removed.
pub fn daily_snapshots(
    points: &[DailyPoint],
    removed: &BTreeSet<u64>,
    zone: &TimeZone,
    today: Day,
    oldest: i64,
) -> Vec<DailyPoint> {
    let day = |point: &DailyPoint| Day::at(point.generated_at, zone);
    let mut daily: Vec<DailyPoint> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let of = day(point);
        let is_last = points.get(index + 1).is_none_or(|next| day(next) != of);
        if is_last && of < today && !removed.contains(&point.revision) {
            daily.push(*point);
        }
    }
    let newest = daily.last().copied();
    daily.retain(|point| point.generated_at > oldest || Some(*point) == newest);
    daily
}

/// Returns the snapshots of a user at `now`, the newest first. `points` are the revisions that can be reached, ascending.
///
/// What has expired is not among them, except for the newest snapshot of all, which is never removed.
pub fn snapshots(
    points: &[DailyPoint],
    marks: &SnapshotMarks,
    (profile_id, zone, periods): (ProfileId, &TimeZone, SnapshotPeriods),
    now: i64,
) -> Vec<Snapshot> {
    let today = Day::at(now, zone);
    let oldest = now.saturating_sub(periods.daily);
    let daily = daily_snapshots(points, &marks.removed_revisions(), zone, today, oldest);
    let mut all: Vec<Snapshot> = daily
        .into_iter()
        .map(|DailyPoint { revision, generated_at }| Snapshot {
            id: SnapshotId::for_day(profile_id, revision, generated_at),
            revision,
            created_at: generated_at,
            expires_at: generated_at.saturating_add(periods.daily),
            trigger: SnapshotTrigger::Daily,
            taken: 0,
        })
        .collect();
    all.extend(marks.requested.iter().map(|(taken, requested)| Snapshot {
        id: requested.id,
        revision: requested.revision,
        created_at: requested.created_at,
        expires_at: requested.expires_at,
        trigger: requested.trigger,
        taken: *taken,
    }));
    // Of snapshots that were taken in the same microsecond, the later one has the greater sequence.
    all.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.created_at, snapshot.taken)));
    let newest = all.first().map(|snapshot| snapshot.id);
    all.retain(|snapshot| snapshot.expires_at > now || Some(snapshot.id) == newest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    const PERIODS: SnapshotPeriods = SnapshotPeriods { revisions: 30 * DAY, requested: 30 * DAY, daily: 365 * DAY };

    fn points(times: &[i64]) -> Vec<DailyPoint> {
        (1..).zip(times).map(|(revision, time)| DailyPoint { revision, generated_at: *time }).collect()
    }

    fn listed(points: &[DailyPoint], marks: &SnapshotMarks, now: i64) -> Vec<u64> {
        let profile = ProfileId::from_random([1; 16]);
        let found = snapshots(points, marks, (profile, &TimeZone::UTC, PERIODS), now);
        assert!(found.is_sorted_by(|a, b| a.created_at >= b.created_at));
        found.iter().map(|snapshot| snapshot.revision).collect()
    }

    #[test]
    fn the_last_revision_of_each_day_that_is_over_is_a_snapshot() {
        let points = points(&[10, 20, DAY, DAY + 5, 3 * DAY]);
        let none = SnapshotMarks::default();
        assert_eq!(listed(&points, &none, 3 * DAY + 1), [4, 2], "today is not over");
        assert_eq!(listed(&points, &none, 4 * DAY), [5, 4, 2]);
        assert_eq!(listed(&points, &none, 366 * DAY + 4), [5, 4], "those of a year ago are gone");
        assert_eq!(listed(&points, &none, 5_000 * DAY), [5], "the newest stays");
        let removed = SnapshotMarks { daily_removed: [(9, (4, DAY + 5))].into(), ..none };
        assert_eq!(listed(&points, &removed, 4 * DAY), [5, 2]);
    }

    #[test]
    fn requested_snapshots_are_listed_until_they_expire() {
        let mut marks = SnapshotMarks::default();
        let taken = |number: u8, revision, created_at| {
            SnapshotMark::Taken(RequestedSnapshot {
                id: SnapshotId::from_random(created_at, [number; 10]),
                revision,
                created_at,
                expires_at: created_at + 30 * DAY,
                trigger: SnapshotTrigger::Manual,
            })
        };
        marks.apply(3, taken(1, 1, 15));
        marks.apply(4, taken(2, 2, 2 * DAY));
        let points = points(&[10, 20]);
        assert_eq!(listed(&points, &marks, 2 * DAY + 1), [2, 2, 1]);
        assert_eq!(listed(&points, &marks, 31 * DAY), [2, 2]);
        assert_eq!(listed(&points, &marks, 4_000 * DAY), [2], "the newest stays, though it has expired");
        marks.apply(9, SnapshotMark::Removed { taken: 4 });
        assert_eq!(listed(&points, &marks, 2 * DAY + 1), [2, 1]);
    }
}
