//! Histories that are thinned while they are read, over restarts and kills: what stays is what was recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use domain::canonical::CanonicalJson;
use domain::day::Day;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite};
use domain::id::ProfileId;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::record::{Replay, Rewind, ThinHistory, pack};
use domain::rules::{Limits, Rules};
use domain::snapshot::SnapshotPeriods;
use domain::source::{Source, ValueKind};
use domain::state::UserState;
use domain::table::Leaf;
use jiff::tz::TimeZone;
use store::{Store, StoreOptions};

use crate::kit::clock::{DAY, TestClock};
use crate::kit::{SeededEntropy, close, master, options, user};

const PERIODS: SnapshotPeriods = SnapshotPeriods { revisions: 10 * DAY, requested: 10 * DAY, daily: 40 * DAY };
const USERS: usize = 6;
const FIRST_DAY: i64 = 20_470;

fn rules() -> Rules {
    Rules {
        zone: TimeZone::UTC,
        districts: BTreeMap::new(),
        not_applicable: Vec::new(),
        schemes_waiting: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// What was acknowledged, by user and revision.
struct Recorded {
    clock: Arc<TestClock>,
    heads: Vec<Option<Arc<UserState>>>,
    revisions: Vec<BTreeMap<u64, Arc<UserState>>>,
}

impl Recorded {
    fn new() -> Self {
        let clock = TestClock::at_day(FIRST_DAY);
        Self { clock, heads: vec![None; USERS], revisions: vec![BTreeMap::new(); USERS] }
    }

    fn open(&self, dir: &Path) -> Store {
        let retention = ThinHistory { zone: TimeZone::UTC, periods: PERIODS };
        let options =
            StoreOptions { clock: Some(self.clock.clone()), retention: Some(Arc::new(retention)), ..options(dir) };
        store::open(options, &master(), Arc::new(Replay), SeededEntropy::new(3)).expect("the store opens")
    }

    fn now(&self) -> i64 {
        domain::port::clock::Clock::now_micros(&*self.clock)
    }

    /// Appends a revision of each user.
    fn append(&mut self, store: &mut Store) {
        let rules = rules();
        let day = Day::at(self.now(), &rules.zone);
        let context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day };
        for number in 0..USERS {
            let count = self.revisions[number].len();
            let leaf = RegisterPath::Leaf(Leaf::DemographicsResidencyYears);
            let value = Some(CanonicalJson::integer(count as i64 % 100 + number as i64));
            let event = FeedEvent {
                id: format!("e{count}").into(),
                source: Source::Metadata,
                user: user(number),
                time: self.now() + count as i64,
                person: None,
                registration: false,
                writes: vec![RegisterWrite { path: leaf, kind: ValueKind::Verified, value }],
            };
            let new = || NewUser { profile_id: ProfileId::from_random([number as u8; 16]), integrity_key: [9; 16] };
            let ApplyOutcome::Changed(change) = apply(self.heads[number].as_ref(), new, &event, &context) else {
                panic!("the value is another one")
            };
            let finished = change.finish(&user(number), self.now(), 3);
            store.journal.append(&[finished.record]).expect("taken")[0].expect("in sequence");
            self.revisions[number].insert(finished.state.envelope.revision, finished.state.clone());
            self.heads[number] = Some(finished.state);
        }
    }

    /// Asserts that each revision is what was recorded, or was dropped, and returns how many were dropped.
    fn check(&self, store: &Store) -> usize {
        let mut dropped = 0;
        for number in 0..USERS {
            for (revision, state) in &self.revisions[number] {
                match rewind(store, number, *revision) {
                    Some(found) => assert!(pack(&found) == pack(state), "revision {revision} of user {number}"),
                    None => {
                        let age = self.now() - state.envelope.generated_at;
                        assert!(age >= PERIODS.revisions, "revision {revision} of user {number} must be there");
                        dropped += 1;
                    }
                }
            }
        }
        dropped
    }
}

fn rewind(store: &Store, number: usize, revision: u64) -> Option<UserState> {
    let mut rewind = Rewind::new(revision);
    store.reader.load_history(&user(number), revision, &mut rewind).expect("the store reads").expect("a user");
    let found = rewind.finish();
    assert!(found.state.is_some() || found.is_dropped, "revision {revision} of user {number}");
    found.state
}

#[test]
fn what_stays_is_what_was_recorded_over_checkpoints_restarts_and_crashes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recorded = Recorded::new();
    let mut store = recorded.open(dir.path());
    let mut dropped = 0;
    for round in 0..90_i64 {
        for _ in 0..3 {
            recorded.append(&mut store);
            recorded.clock.advance(DAY / 3);
        }
        if round % 3 == 0 {
            store.closer.checkpoint().expect("a checkpoint");
        }
        if round % 5 == 0 {
            store.closer.thin_histories().expect("thinned");
        }
        if round % 12 == 0 {
            dropped = recorded.check(&store);
        }
        match round % 20 {
            7 => {
                // As in a crash.
                drop(store);
                store = recorded.open(dir.path());
            }
            15 => {
                close(store);
                store = recorded.open(dir.path());
            }
            _ => {}
        }
    }
    assert!(dropped > 100, "{dropped}");
    // Nothing of a year and more ago is left but the newest snapshot and the head.
    recorded.clock.advance(400 * DAY);
    store.closer.checkpoint().expect("a checkpoint");
    store.closer.thin_histories().expect("thinned");
    let revisions = recorded.revisions[0].len();
    assert_eq!(recorded.check(&store), USERS * (revisions - 1));
    // The next revision continues what is left.
    recorded.append(&mut store);
    store.closer.checkpoint().expect("a checkpoint");
    recorded.check(&store);
}

#[test]
fn a_history_can_be_read_while_it_is_thinned() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recorded = Recorded::new();
    let mut store = recorded.open(dir.path());
    for _ in 0..60 {
        for _ in 0..4 {
            recorded.append(&mut store);
            recorded.clock.advance(DAY / 4);
        }
    }
    store.closer.checkpoint().expect("a checkpoint");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                store.closer.thin_histories().expect("thinned");
                recorded.clock.advance(3 * DAY);
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut revision = 1;
        while !done.load(Ordering::Relaxed) {
            let newest = recorded.revisions[1].len() as u64;
            revision = revision % newest + 1;
            if let Some(found) = rewind(&store, 1, revision) {
                assert!(pack(&found) == pack(&recorded.revisions[1][&revision]), "revision {revision}");
            }
        }
    });
    assert!(recorded.check(&store) > 0);
}
