//! Users whose revisions are recorded as they are made, in a store that thins their histories.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::canonical::CanonicalJson;
use domain::day::Day;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite};
use domain::id::ProfileId;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::Clock;
use domain::record::{Replay, Rewind, ThinHistory, pack};
use domain::rules::{Limits, Rules};
use domain::snapshot::SnapshotPeriods;
use domain::source::{Source, ValueKind};
use domain::state::UserState;
use domain::table::Leaf;
use jiff::tz::TimeZone;
use store::{Store, StoreOptions};

use super::clock::{DAY, TestClock};
use super::{SeededEntropy, master, options, user};

const PERIODS: SnapshotPeriods = SnapshotPeriods { revisions: 10 * DAY, requested: 10 * DAY, daily: 40 * DAY };
pub(crate) const USERS: usize = 6;
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

/// Opens a store that thins histories by a clock.
#[track_caller]
pub(crate) fn open(dir: &Path, clock: Arc<TestClock>) -> Store {
    let retention = ThinHistory { zone: TimeZone::UTC, periods: PERIODS };
    let options = StoreOptions { clock: Some(clock), retention: Some(Arc::new(retention)), ..options(dir) };
    store::open(options, &master(), Arc::new(Replay), SeededEntropy::new(3)).expect("the store opens")
}

/// What was acknowledged, by user and revision.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) clock: Arc<TestClock>,
    heads: Vec<Option<Arc<UserState>>>,
    /// The state at each revision, by user.
    pub(crate) revisions: Vec<BTreeMap<u64, Arc<UserState>>>,
}

impl Recorded {
    pub(crate) fn new() -> Self {
        let clock = TestClock::at_day(FIRST_DAY);
        Self { clock, heads: vec![None; USERS], revisions: vec![BTreeMap::new(); USERS] }
    }

    /// Returns the same at another time, in microseconds since the Unix epoch, with a clock of its own.
    pub(crate) fn at(&self, micros: i64) -> Self {
        Self { clock: TestClock::at(micros), ..self.clone() }
    }

    pub(crate) fn open(&self, dir: &Path) -> Store {
        open(dir, self.clock.clone())
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_micros()
    }

    /// Appends a revision of each user.
    pub(crate) fn append(&mut self, store: &mut Store) {
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

    /// Asserts that each revision is what was recorded, or was dropped and need not be there, and returns how many were dropped.
    #[track_caller]
    pub(crate) fn check(&self, store: &Store) -> usize {
        let mut dropped = 0;
        for number in 0..USERS {
            for (revision, state) in &self.revisions[number] {
                match rewind(store, number, *revision) {
                    Some(found) => assert!(pack(&found) == pack(state), "revision {revision} of user {number}"),
                    None => {
                        assert!(
                            !self.must_stay(number, *revision),
                            "revision {revision} of user {number} must be there"
                        );
                        dropped += 1;
                    }
                }
            }
        }
        dropped
    }

    /// Returns how many revisions need not be there.
    pub(crate) fn droppable(&self) -> usize {
        let all = (0..USERS).flat_map(|number| self.revisions[number].keys().map(move |revision| (number, *revision)));
        all.filter(|(number, revision)| !self.must_stay(*number, *revision)).count()
    }

    /// Returns whether a revision is younger than its period, was the newest one when that began, or is the last one of a day
    /// that is young enough.
    fn must_stay(&self, number: usize, revision: u64) -> bool {
        let made = |revision: u64| self.revisions[number].get(&revision).map(|state| state.envelope.generated_at);
        let (Some(this), next) = (made(revision), made(revision + 1)) else { return false };
        let ended_before = |instant: i64| next.is_some_and(|next| next <= instant);
        let is_daily = next.is_none_or(|next| next.div_euclid(DAY) > this.div_euclid(DAY));
        !ended_before(self.now() - PERIODS.revisions) || is_daily && this > self.now() - PERIODS.daily
    }
}

/// Returns the state at a revision; `None` if it was dropped.
#[track_caller]
pub(crate) fn rewind(store: &Store, number: usize, revision: u64) -> Option<UserState> {
    let mut rewind = Rewind::new(revision);
    store.reader.load_history(&user(number), revision, &mut rewind).expect("the store reads").expect("a user");
    let found = rewind.finish();
    assert!(found.state.is_some() || found.is_dropped, "revision {revision} of user {number}");
    found.state
}
