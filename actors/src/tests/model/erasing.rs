//! One schedule in which users are erased and return. It checks their rows in the columns after every step.

use std::collections::HashMap;

use domain::columns::Row;
use domain::erasure::ErasureReason;
use domain::event::{FeedEvent, RegisterPath};
use domain::port::erasure::ErasedUser;
use domain::source::Source;
use domain::state::UserState;
use domain::table::Leaf;
use tokio::task::JoinHandle;

use super::super::fixture::{Fixture, event, user};
use super::super::harness::{Harness, by_hand};
use super::super::ram_store::Fate;
use super::super::random::SeededRandom;
use super::checks::is_row_of;
use crate::request::Request;
use crate::{EraseError, Options, Status};

const USERS: usize = 3;
const STEPS: usize = 160;

/// How often things happened.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ErasingTally {
    pub(super) applied: usize,
    pub(super) refused_as_erased: usize,
    pub(super) erased: usize,
    pub(super) erasures_that_failed: usize,
    pub(super) returned: usize,
    pub(super) killed: usize,
    pub(super) restarts: usize,
}

impl ErasingTally {
    pub(super) fn counts(&self) -> [usize; 7] {
        let Self { applied, refused_as_erased, erased, erasures_that_failed, returned, killed, restarts } = *self;
        [applied, refused_as_erased, erased, erasures_that_failed, returned, killed, restarts]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.applied += other.applied;
        self.refused_as_erased += other.refused_as_erased;
        self.erased += other.erased;
        self.erasures_that_failed += other.erasures_that_failed;
        self.returned += other.returned;
        self.killed += other.killed;
        self.restarts += other.restarts;
    }
}

#[derive(Default)]
struct User {
    /// What each durable frame leads to, by sequence from 1: a state, or nothing after an erasure.
    durable: Vec<Option<UserState>>,
    /// The least sequence that the row may be of: that of the newest commit or erasure that was acknowledged.
    acknowledged: usize,
}

/// An erasure that was asked for, and is not answered yet.
struct PendingErasure {
    user: usize,
    /// Whether something of the user was acknowledged when it was asked for.
    is_known: bool,
    answer: JoinHandle<Result<ErasedUser, EraseError>>,
}

pub(super) struct ErasingSchedule {
    random: SeededRandom,
    fixture: Fixture,
    harness: Harness,
    users: Vec<User>,
    /// Events that have no result yet.
    open: HashMap<u64, FeedEvent>,
    erasing: Vec<PendingErasure>,
    /// Time of the newest event after now, in microseconds.
    newest: i64,
    tally: ErasingTally,
}

impl ErasingSchedule {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SeededRandom(seed);
        let fixture = Fixture::new();
        let harness = Harness::start_unfilled(fixture.clone(), fixture.ports(), options(&mut random));
        let users = (0..USERS).map(|_| User::default()).collect();
        let (open, erasing, tally) = (HashMap::new(), Vec::new(), ErasingTally::default());
        Self { random, fixture, harness, users, open, erasing, newest: 0, tally }
    }

    pub(super) async fn run(mut self) -> ErasingTally {
        for _ in 0..STEPS {
            self.step().await;
            self.check().await;
        }
        self.fixture.store.set_fate(Fate::Taken);
        self.harness.fill();
        self.harness.settle().await;
        self.check().await;
        assert!(self.open.is_empty() && self.erasing.is_empty(), "everything is answered");
        for (number, durable) in self.users.iter().enumerate() {
            let Some(row) = self.row(number) else { continue };
            assert!(is_of(&row, durable.durable.last().expect("a row has frames")), "the row of the last frame");
        }
        for durable in &self.users {
            let pairs = durable.durable.windows(2);
            self.tally.returned += pairs.filter(|pair| pair[0].is_none() && pair[1].is_some()).count();
        }
        self.tally
    }

    async fn step(&mut self) {
        if self.random.one_in(30) {
            self.harness.fill();
        }
        match self.random.below(24) {
            0..=6 => self.submit(),
            7..=8 => self.erase(),
            9..=12 => {
                if self.random.one_in(3) {
                    self.harness.load_while_syncing();
                }
                self.harness.committer.step(false);
            }
            13..=15 => self.harness.load(),
            16..=20 => {
                let turns = 1 + self.random.below(6);
                self.harness.run_tasks(turns).await;
            }
            21 if self.random.one_in(3) => {
                let fate = if self.random.one_in(8) { Fate::Unknown } else { Fate::NotTaken };
                self.harness.set_fate(fate);
            }
            22 if self.random.one_in(3) => {
                let number = self.random.below(USERS);
                let was_live = self.harness.runtime.roster.send_if_live(&user(number), Request::Panic);
                self.tally.killed += usize::from(was_live);
            }
            23 if self.random.one_in(8) => self.restart(),
            _ => self.harness.shard.on_tick(),
        }
    }

    fn submit(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            let event = self.random_event();
            let index = self.harness.submit(event.clone());
            self.open.insert(index, event);
        }
    }

    /// Returns an event of few values. Most are later than all before them, so that they begin a life or belong to it; others may be
    /// of a life that has ended.
    fn random_event(&mut self) -> FeedEvent {
        let number = self.random.below(USERS);
        self.newest += 1;
        let late = if self.random.one_in(6) { self.random.below(40) as i64 } else { 0 };
        let time = self.fixture.now() + self.newest - late;
        let (source, leaf, values) = match self.random.below(3) {
            0 => (Source::Identity, Leaf::IdentityGender, ["\"female\"", "\"male\""]),
            1 => (Source::Metadata, Leaf::EconomicIncomeBracket, ["\"0-2.5L\"", "\"2.5L-5L\""]),
            _ => (Source::Consent, Leaf::ConsentAnalyticsOptIn, ["true", "false"]),
        };
        let value = self.random.pick(&values);
        let id = format!("event-{}", self.newest);
        let written = event(user(number), &id, time, source, &[(RegisterPath::Leaf(leaf), Some(value))]);
        FeedEvent { registration: source == Source::Identity, ..written }
    }

    fn erase(&mut self) {
        let (profiles, number) = (self.harness.profiles.clone(), self.random.below(USERS));
        let erase = async move { profiles.erase(user(number), ErasureReason::Citizen).await };
        let is_known = self.users[number].acknowledged > 0;
        self.erasing.push(PendingErasure { user: number, is_known, answer: actix_rt::spawn(erase) });
    }

    /// Restarts. Everything that is not durable is gone; records of unknown fate may be there or not.
    fn restart(&mut self) {
        self.erasing.drain(..).for_each(|erasing| erasing.answer.abort());
        self.open.clear();
        self.fixture.store.restart(self.random.below(4));
        let ports = self.fixture.ports();
        self.harness = Harness::start_unfilled(self.fixture.clone(), ports, options(&mut self.random));
        self.tally.restarts += 1;
    }

    async fn check(&mut self) {
        for (number, durable) in self.users.iter_mut().enumerate() {
            durable.durable = self.fixture.store.lives(&user(number));
        }
        while let Ok(result) = self.harness.results.try_recv() {
            let event = self.open.remove(&result.index).expect("one result for each event");
            let number = (0..USERS).find(|number| user(*number) == event.user).expect("a user of the model");
            self.check_result(number, result.status);
        }
        for index in (0..self.erasing.len()).rev() {
            if self.erasing[index].answer.is_finished() {
                let PendingErasure { user, is_known, answer } = self.erasing.swap_remove(index);
                self.check_erasure(user, is_known, answer.await.expect("no panic"));
            }
        }
        (0..USERS).for_each(|number| self.check_row(number));
    }

    fn check_result(&mut self, number: usize, status: Status) {
        let durable = &mut self.users[number];
        match status {
            Status::Busy => {}
            Status::Erased => {
                assert!(durable.durable.iter().any(Option::is_none), "refused before the erasure was durable");
                self.tally.refused_as_erased += 1;
            }
            Status::Applied { revision } | Status::Unchanged { revision } | Status::Duplicate { revision } => {
                let is_of =
                    |state: &Option<UserState>| state.as_ref().is_some_and(|state| state.envelope.revision == revision);
                let first = durable.durable.iter().position(is_of).expect("acknowledged before it was durable");
                durable.acknowledged = durable.acknowledged.max(first + 1);
                self.tally.applied += usize::from(matches!(status, Status::Applied { .. }));
            }
        }
    }

    fn check_erasure(&mut self, number: usize, is_known: bool, answer: Result<ErasedUser, EraseError>) {
        match answer {
            Ok(erased) => {
                let sequence = erased.tombstone.last_sequence as usize;
                let durable = &mut self.users[number];
                assert!(durable.durable[sequence - 1].is_none(), "acknowledged before it was durable");
                durable.acknowledged = durable.acknowledged.max(sequence);
                self.tally.erased += 1;
            }
            Err(EraseError::Busy) => self.tally.erasures_that_failed += 1,
            Err(EraseError::Unknown) => assert!(!is_known, "a known user is unknown"),
            Err(EraseError::Unavailable) => panic!("the store reads well"),
        }
    }

    fn row(&self, number: usize) -> Option<Row> {
        self.fixture.store.row(&user(number)).map(|row| self.harness.runtime.columns.row(row))
    }

    /// Checks that a row is that of a frame which is not older than what was acknowledged: after an acknowledged erasure, nothing of
    /// the erased life is in it.
    fn check_row(&self, number: usize) {
        let (durable, is_ready) = (&self.users[number], self.harness.runtime.columns.is_ready());
        let Some(row) = self.row(number) else {
            return assert_eq!(durable.acknowledged, 0, "an acknowledged user has no row");
        };
        if !row.is_present() && !is_ready {
            return;
        }
        if row.is_present() {
            let state = durable.durable[row.version().sequence() as usize - 1].as_ref();
            let state = state.expect("a row of an erasure is empty");
            assert!(row.version().generation() == state.generation && is_row_of(&row, state), "not of its version");
        }
        let nobody = (durable.acknowledged == 0).then_some(&None);
        let mut may_be = durable.durable[durable.acknowledged.saturating_sub(1)..].iter().chain(nobody);
        assert!(may_be.any(|frame| is_of(&row, frame)), "user {number}: a row that is older than an acknowledgement");
    }
}

/// Returns whether a row is what a frame leads to.
fn is_of(row: &Row, frame: &Option<UserState>) -> bool {
    match frame {
        Some(state) => row.is_present() && is_row_of(row, state),
        // Nothing of it is left.
        None => row.to_bytes()[8..] == Row::EMPTY.to_bytes()[8..],
    }
}

fn options(random: &mut SeededRandom) -> Options {
    Options {
        mailbox_capacity: 2 + random.below(10),
        commit_permits: 2 + random.below(20),
        commit_queue_capacity: 4 + random.below(20),
        max_group: 1 + random.below(4),
        max_live_actors: 1 + random.below(4),
        idle_passivate: if random.one_in(2) {
            std::time::Duration::ZERO
        } else {
            std::time::Duration::from_secs(86_400)
        },
        hot_actors_per_shard: 1 + random.below(2),
        hydration_queue: 1 + random.below(3),
        warm_bytes: random.pick(&[0, 900, 1 << 30]),
        ..by_hand()
    }
}
