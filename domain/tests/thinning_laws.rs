//! Laws of thinning: what stays of a history is exactly what was recorded, whenever and however often it is thinned.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::day::Day;
use domain::erasure::{ErasureReason, Tombstone};
use domain::event::FeedEvent;
use domain::id::{ProfileId, UserId};
use domain::pipeline::apply::mark_snapshot;
use domain::pipeline::{
    ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, begin_generation, roll,
};
use domain::port::retention::HistoryRetention;
use domain::port::store::{SideKey, SideKind};
use domain::record::{
    HistoryWalk, PastOutcome, PastSearch, PastTarget, ReplayCheck, Rewind, SnapshotScan, ThinHistory, pack, records,
};
use domain::rules::Rules;
use domain::snapshot::{
    RequestedSnapshot, Snapshot, SnapshotId, SnapshotMark, SnapshotPeriods, SnapshotTrigger, snapshots,
};
use domain::state::UserState;

use crate::random_histories::{Random, Stored, event, rules};

const HISTORIES: u64 = 60;
const DAY: i64 = 86_400_000_000;
/// Days of a test year, so that short histories outlive daily snapshots.
const PERIODS: SnapshotPeriods = SnapshotPeriods { revisions: 10 * DAY, requested: 8 * DAY, daily: 40 * DAY };
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000;

/// The end of the generation before, in some of the histories.
const ERASED: Tombstone = Tombstone {
    generation: 1,
    erased_at: BEGIN - 4_000 * DAY,
    reason: ErasureReason::Citizen,
    last_revision: 37,
    last_sequence: 50,
    was_shared: false,
};

/// What has happened, as it was when it happened.
struct Recorded {
    rules: Rules,
    user: UserId,
    now: i64,
    /// The erasure before the generation whose history it is, if it is not the user's first one.
    erased: Option<Tombstone>,
    state: Option<Arc<UserState>>,
    /// The state at each revision.
    revisions: BTreeMap<u64, Arc<UserState>>,
    requested: BTreeMap<u64, RequestedSnapshot>,
    removed: BTreeSet<u64>,
}

impl Recorded {
    fn take(&mut self, finished: FinishedChange, stored: &mut Stored) {
        if finished.delta.is_some() {
            self.revisions.insert(finished.state.envelope.revision, Arc::clone(&finished.state));
        }
        stored.frames.push(finished.record);
        self.state = Some(finished.state);
    }

    /// Makes something happen to the user.
    fn step(&mut self, random: &mut Random, stored: &mut Stored) {
        let day = Day::at(self.now, &self.rules.zone);
        let rules = self.rules.clone();
        let context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day };
        if let Some(before) = self.state.clone() {
            match roll(&before, &context) {
                RollOutcome::Same(same) => self.state = Some(same),
                RollOutcome::Changed(change) => self.take(change.finish(&self.user, self.now, 7), stored),
            }
            match random.below(16) {
                0 => return self.take_snapshot(random, stored),
                1 => return self.remove_snapshot(random, stored),
                _ => {}
            }
        }
        let event = event(self.user, random);
        let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
        if event.writes.is_empty() {
            return;
        }
        if let (None, Some(erased)) = (&self.state, &self.erased) {
            let registration = FeedEvent { registration: true, ..event };
            if let Some(change) = begin_generation(erased, new_user, &registration, &context) {
                self.take(change.finish(&self.user, self.now, 1234), stored);
            }
            return;
        }
        if let ApplyOutcome::Changed(change) = apply(self.state.as_ref(), new_user, &event, &context) {
            self.take(change.finish(&self.user, self.now, 1234), stored);
        }
    }

    /// Returns the first revision of the generation.
    fn first(&self) -> u64 {
        self.erased.map_or(1, |erased| erased.last_revision + 1)
    }

    fn mark(&mut self, mark: SnapshotMark, stored: &mut Stored) {
        let Some(state) = self.state.clone() else { return };
        self.take(mark_snapshot(&state, &self.user, mark), stored);
    }

    fn take_snapshot(&mut self, random: &mut Random, stored: &mut Stored) {
        let Some(state) = self.state.clone() else { return };
        let mut bytes = [0; 10];
        bytes.fill_with(|| random.below(256) as u8);
        let snapshot = RequestedSnapshot {
            id: SnapshotId::from_random(self.now, bytes),
            revision: state.envelope.revision,
            created_at: self.now,
            expires_at: self.now + PERIODS.requested,
            trigger: SnapshotTrigger::Manual,
        };
        self.requested.insert(state.sequence + 1, snapshot);
        self.mark(SnapshotMark::Taken(snapshot), stored);
    }

    /// Removes one of the snapshots that are listed.
    fn remove_snapshot(&mut self, random: &mut Random, stored: &mut Stored) {
        let listed = list(stored, self);
        if listed.is_empty() {
            return;
        }
        let Snapshot { taken, revision, created_at, .. } = *random.pick(&listed);
        if taken > 0 {
            self.requested.remove(&taken);
            self.mark(SnapshotMark::Removed { taken }, stored);
        } else {
            self.removed.insert(revision);
            self.mark(SnapshotMark::DailyRemoved { revision, generated_at: created_at }, stored);
        }
    }

    fn day(&self, state: &UserState) -> Day {
        Day::at(state.envelope.generated_at, &self.rules.zone)
    }

    /// Returns whether a revision is the last one of a day that is over.
    fn is_daily(&self, revision: u64) -> bool {
        let day = self.day(&self.revisions[&revision]);
        let is_last = self.revisions.get(&(revision + 1)).is_none_or(|next| self.day(next) != day);
        is_last && day < Day::at(self.now, &self.rules.zone) && !self.removed.contains(&revision)
    }

    /// Returns the revisions that must be reachable now, by the words of the contract.
    fn kept(&self) -> BTreeSet<u64> {
        let at = |revision: u64| self.revisions[&revision].envelope.generated_at;
        let first = self.first();
        let head = first - 1 + self.revisions.len() as u64;
        // The revision that was there when the period began, and all later ones.
        let current =
            (first..=head).rev().find(|revision| at(*revision) <= self.now - PERIODS.revisions).unwrap_or(first);
        let mut kept: BTreeSet<u64> = (current..=head).collect();
        let newest_daily = (first..=head).rev().find(|revision| self.is_daily(*revision));
        let is_young = |revision: &u64| at(*revision) > self.now - PERIODS.daily || Some(*revision) == newest_daily;
        kept.extend((first..=head).filter(|revision| self.is_daily(*revision)).filter(is_young));
        kept.extend(self.requested.values().filter(|taken| taken.expires_at > self.now).map(|taken| taken.revision));
        kept
    }
}

impl Recorded {
    /// Whether a revision is the newest daily snapshot only because newer ones were removed: it may have been dropped while
    /// they were there.
    fn became_newest(&self, revision: u64) -> bool {
        let is_old = self.revisions[&revision].envelope.generated_at <= self.now - PERIODS.daily;
        is_old && self.is_daily(revision) && self.removed.iter().any(|removed| *removed > revision)
    }
}

fn list(stored: &Stored, recorded: &Recorded) -> Vec<Snapshot> {
    let mut scan = SnapshotScan::default();
    stored.visit(&mut scan);
    let found = scan.finish();
    let Some(profile_id) = found.profile_id else { return Vec::new() };
    snapshots(&found.points, &found.marks, (profile_id, &recorded.rules.zone, PERIODS), recorded.now)
}

/// Asserts that each revision is exactly what was recorded, or is not there; and which ones must be there. Those that may
/// be gone are gone if `is_thinned`.
fn check(stored: &Stored, recorded: &Recorded, is_thinned: bool) {
    let kept = recorded.kept();
    let newest_taken = recorded.requested.iter().max_by_key(|(taken, snapshot)| (snapshot.created_at, **taken));
    let newest_taken = newest_taken.map(|(_, snapshot)| snapshot);
    let mut reachable = Vec::new();
    for (revision, state) in &recorded.revisions {
        let mut rewind = Rewind::new(*revision);
        stored.visit(&mut rewind);
        let found = rewind.finish();
        let Some(found_state) = &found.state else {
            assert!(found.is_dropped, "revision {revision} was dropped");
            let must_stay = kept.contains(revision) && !recorded.became_newest(*revision);
            assert!(!must_stay, "revision {revision} must be there");
            continue;
        };
        reachable.push(*revision);
        check_documents(stored, *revision, state);
        assert!(!found.is_dropped);
        assert_eq!((found_state.envelope, found_state.salts), (state.envelope, state.salts), "revision {revision}");
        assert_eq!(found_state.profile_hash(), state.profile_hash(), "revision {revision}");
        assert_eq!(found_state.profile, state.profile, "revision {revision}");
        if found_state.sequence == state.sequence {
            assert_eq!(pack(found_state), pack(state), "revision {revision}");
        }
        let may_stay = kept.contains(revision) || newest_taken.is_some_and(|taken| taken.revision == *revision);
        assert!(may_stay || !is_thinned, "revision {revision} must be gone");
    }
    let mut visited = Vec::new();
    let mut visit = |state: &UserState| visited.push((state.envelope.revision, state.profile_hash()));
    let mut walk = HistoryWalk::new(1, u64::MAX, &mut visit);
    stored.visit(&mut walk);
    walk.finish();
    let expected = reachable.iter().map(|revision| (*revision, recorded.revisions[revision].profile_hash()));
    assert!(visited.iter().copied().eq(expected), "a walk visits what can be reached");
    let mut scan = SnapshotScan::default();
    stored.visit(&mut scan);
    let found = scan.finish();
    let points: Vec<u64> = found.points.iter().map(|point| point.revision).collect();
    assert_eq!(points, reachable, "a scan finds what can be reached");
    let mut replayed = ReplayCheck::default();
    stored.visit(&mut replayed);
    let report = replayed.finish();
    assert_eq!((report.faults, report.revisions), (Vec::new(), reachable.len() as u64));
    assert_eq!(report.revisions + report.dropped, recorded.revisions.len() as u64);
    check_search(stored, recorded, &reachable);
    check_snapshots(stored, recorded);
}

/// Asserts that a revision that stays is found with the documents that it was made with.
fn check_documents(stored: &Stored, revision: u64, state: &UserState) {
    let mut search = PastSearch::new(PastTarget::Made(revision));
    stored.visit(&mut search);
    match search.finish() {
        PastOutcome::Found(made) => assert_eq!(pack(&made), pack(state), "revision {revision}"),
        other => panic!("revision {revision}: {other:?}"),
    }
}

/// Asserts that a search by number or by time finds the revision of then, or says that it was dropped.
fn check_search(stored: &Stored, recorded: &Recorded, reachable: &[u64]) {
    let check = |target: PastTarget, expected: Option<u64>| {
        let mut search = PastSearch::new(target);
        stored.visit(&mut search);
        match (search.finish(), expected) {
            (PastOutcome::Found(state), Some(revision)) => assert_eq!(state.envelope.revision, revision, "{target:?}"),
            (PastOutcome::Gone { retained_from }, Some(revision)) => {
                assert!(!reachable.contains(&revision), "{target:?}");
                // Of revisions of one instant, a read by time finds the last.
                let later = recorded.revisions.iter();
                let mut later = later.filter(|(_, state)| state.envelope.generated_at > retained_from);
                assert!(later.all(|(revision, _)| reachable.contains(revision)), "{target:?}");
            }
            (PastOutcome::BeforeFirst, None) => {}
            (found, expected) => panic!("{target:?} leads to {found:?} and not to {expected:?}"),
        }
    };
    let at = |instant: i64| {
        let then = recorded.revisions.iter().rfind(|(_, state)| state.envelope.generated_at <= instant);
        then.map(|(revision, _)| *revision)
    };
    // Some of them, which differ from call to call.
    let some = recorded.revisions.iter().skip(reachable.len() % 5).step_by(5);
    for (revision, state) in some {
        check(PastTarget::Revision(*revision), Some(*revision));
        let generated_at = state.envelope.generated_at;
        for instant in [generated_at - 1, generated_at, generated_at + 1] {
            check(PastTarget::AsOf(instant), at(instant));
        }
    }
}

fn check_snapshots(stored: &Stored, recorded: &Recorded) {
    let listed = list(stored, recorded);
    for snapshot in &listed {
        let mut rewind = Rewind::new(snapshot.revision);
        stored.visit(&mut rewind);
        assert!(rewind.finish().state.is_some(), "{snapshot:?} can be read");
    }
    let is_listed = |id: SnapshotId| listed.iter().any(|snapshot| snapshot.id == id);
    for taken in recorded.requested.values().filter(|taken| taken.expires_at > recorded.now) {
        assert!(is_listed(taken.id), "{taken:?}");
    }
    let daily = recorded.revisions.keys().filter(|revision| recorded.is_daily(**revision));
    for revision in daily {
        let generated_at = recorded.revisions[revision].envelope.generated_at;
        let id = SnapshotId::for_day(ProfileId::from_random([3; 16]), *revision, generated_at);
        let is_young = generated_at > recorded.now - PERIODS.daily;
        assert!(is_listed(id) || !is_young, "the daily snapshot of revision {revision}");
    }
}

/// Returns how often something was dropped.
fn run(seed: u64) -> usize {
    let mut random = Random(seed);
    let mut stored = Stored::default();
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    let mut recorded = Recorded {
        rules: rules(),
        user,
        now: BEGIN,
        erased: (seed % 3 == 2).then_some(ERASED),
        state: None,
        revisions: BTreeMap::new(),
        requested: BTreeMap::new(),
        removed: BTreeSet::new(),
    };
    let retention = ThinHistory { zone: recorded.rules.zone.clone(), periods: PERIODS };
    let mut dropped = 0;
    // Some histories are long enough for several blocks, and for bases. Some of these have several blocks in a day, of which
    // nothing stays.
    let (steps, most_minutes) = match random.below(8) {
        0 => (500, 6 * 60),
        1 => (500, 30),
        _ => (random.below(80) + 5, 40 * 60),
    };
    for step in 0..steps {
        recorded.now += random.below(most_minutes) as i64 * 60_000_000;
        if most_minutes == 30 && step % 125 == 124 {
            recorded.now += PERIODS.revisions + random.below(40) as i64 * DAY;
        }
        recorded.step(&mut random, &mut stored);
        if random.below(6) == 0 && !stored.frames.is_empty() {
            let frames = std::mem::take(&mut stored.frames);
            stored.fold(&frames);
        }
        if random.below(12) == 0 && stored.state.is_some() {
            let changes = retention.thin(&stored, recorded.now).expect("it can be thinned");
            let has_history = |key: &SideKey| matches!(key.kind, SideKind::HISTORY | SideKind::BASE);
            dropped += usize::from(changes.put.iter().any(|record| has_history(&record.key)));
            stored.apply(changes);
            // Frames that are not folded yet are not thinned.
            check(&stored, &recorded, stored.frames.is_empty());
            let again = retention.thin(&stored, recorded.now).expect("it can be thinned");
            assert!(!again.put.iter().any(|record| has_history(&record.key)), "nothing is left to drop");
            assert!(again.remove.is_empty());
        }
    }
    if recorded.state.is_some() {
        check(&stored, &recorded, false);
    }
    for block in stored.blocks.values() {
        let first = records(&block.body).expect("it reads")[0];
        assert!(first.sequence >= block.key.number);
    }
    dropped
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn what_stays_of_a_thinned_history_is_what_was_recorded() {
    if let Ok(seed) = std::env::var("LAW_SEED") {
        run(seed.parse().expect("LAW_SEED is a number"));
        return;
    }
    let mut dropped = 0;
    for seed in 0..HISTORIES {
        let ran = std::panic::catch_unwind(|| run(seed));
        dropped += ran.unwrap_or_else(|_| panic!("the laws do not hold: repeat with LAW_SEED={seed}"));
    }
    assert!(dropped > HISTORIES as usize, "histories were thinned: {dropped}");
}
