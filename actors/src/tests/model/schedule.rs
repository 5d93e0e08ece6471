//! One schedule: what a seed makes happen, and in which order.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::access::Viewer;
use domain::event::{FeedEvent, RegisterPath};
use domain::schema_version::SchemaVersion;
use domain::source::Source;
use domain::table::Leaf;
use tokio::task::JoinHandle;

use super::super::fixture::{DAY, Fixture, NOON, SERVICE, THIRD_PARTY, citizen, event, policy, user};
use super::super::harness::{Harness, by_hand};
use super::super::ram_store::Fate;
use super::super::random::SeededRandom;
use super::checks::{Durable, is_row_of};
use super::late_reader::LateReader;
use super::subscriber::{Client, Subscriber};
use crate::request::Request;
use crate::roster::Form;
use crate::runtime::UnpackFault;
use crate::{Options, ReadError, Status, View};

const USERS: usize = 3;
const STEPS: usize = 180;

/// What a schedule counts.
const COUNTED: &[&str] = &[
    "applied",
    "unchanged",
    "duplicates",
    "busy",
    "views",
    "cache hits",
    "late views",
    "patches",
    "merged patches",
    "sources",
    "empty patches",
    "profiles",
    "completeness",
    "gone",
    "resyncs",
    "continued",
    "resets",
    "killed",
    "killed in flight",
    "passivated",
    "became warm",
    "started from memory",
    "dropped to cold",
    "unreadable",
    "failed groups",
    "refused",
    "restarts",
    "rolls",
];

/// How often each thing happened. A test in which a thing never happens proves nothing about it.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(super) fn count(&mut self, what: &'static str) {
        self.count_times(what, 1);
    }

    fn count_times(&mut self, what: &'static str, times: usize) {
        assert!(COUNTED.contains(&what), "{what}");
        *self.0.entry(what).or_default() += times;
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.count_times(what, *times));
    }

    pub(super) fn everything_happened(&self) {
        for what in COUNTED {
            assert!(self.0.get(what).is_some_and(|times| *times >= 20), "{what} happened hardly ever: {self:?}");
        }
    }
}

/// A view that was asked for, and is not answered yet.
struct PendingView {
    user: usize,
    viewer: Viewer,
    /// The revision that was acknowledged, and the day, when the view was asked for.
    acknowledged: u64,
    day: domain::day::Day,
    answer: JoinHandle<Result<View, ReadError>>,
}

pub(super) struct Schedule {
    random: SeededRandom,
    fixture: Fixture,
    harness: Harness,
    /// What a restart would find. Every frame is checked.
    durable: Durable,
    /// Events that have no result yet.
    open: HashMap<u64, FeedEvent>,
    /// Events that were acknowledged, over all restarts.
    acknowledged: Vec<FeedEvent>,
    asked: Vec<PendingView>,
    late: Vec<LateReader>,
    subscribers: Vec<Subscriber>,
    /// Clients that have left and may come back, with what they hold.
    left: Vec<Client>,
    tally: Tally,
    policy: usize,
    /// One in this many chances of a failure or a panic is taken.
    failure_odds: usize,
    /// What the roster held for each user at the last check.
    forms: [Form; USERS],
    /// Whether the next warm user will not unpack.
    is_unpack_broken: bool,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SeededRandom(seed);
        let failure_odds = random.pick(&[1, 3, 6, 20]);
        let fixture = Fixture::new();
        let harness = Harness::start_unfilled(fixture.clone(), fixture.ports(), options(&mut random));
        let durable = Durable::new(&fixture, USERS);
        Self {
            random,
            fixture,
            harness,
            durable,
            open: HashMap::new(),
            acknowledged: Vec::new(),
            asked: Vec::new(),
            late: Vec::new(),
            subscribers: Vec::new(),
            left: Vec::new(),
            tally: Tally::default(),
            policy: 0,
            failure_odds,
            forms: [Form::Cold; USERS],
            is_unpack_broken: false,
        }
    }

    pub(super) async fn run(mut self) -> Tally {
        for _ in 0..STEPS {
            self.step().await;
            self.check().await;
        }
        self.finish().await;
        self.tally.count_times("rolls", self.durable.rolls());
        self.tally.count_times("refused", self.fixture.store.refused());
        self.tally
    }

    async fn step(&mut self) {
        if self.random.one_in(30) {
            self.harness.fill();
        }
        match self.random.below(32) {
            0..=5 => self.submit(),
            6..=7 => self.ask(),
            8 if self.random.one_in(2) => self.read_late(),
            8 => self.ask(),
            9 => self.subscribe(),
            10 => self.unsubscribe(),
            11..=14 => {
                if self.random.one_in(3) {
                    self.harness.load_while_syncing();
                }
                self.harness.committer.step(false);
            }
            15..=18 => self.harness.load(),
            19..=25 => {
                let turns = 1 + self.random.below(6);
                self.harness.run_tasks(turns).await;
            }
            26 if self.random.one_in(self.failure_odds) => self.fail_next_commit(),
            27 if self.random.one_in(self.failure_odds) => self.kill(),
            28 => self.tick(),
            31 if self.random.one_in(self.failure_odds) => self.break_next_unpack(),
            29 if self.random.one_in(3) => self.change_clock_or_policy(),
            30 if self.random.one_in(12) => self.restart(),
            _ => self.receive(),
        }
    }

    fn receive(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.receive(&self.durable, &mut self.tally);
        }
    }

    fn submit(&mut self) {
        for _ in 0..1 + self.random.below(4) {
            let again = self.random.one_in(6) && !self.acknowledged.is_empty();
            let event = if again { self.random.pick(&self.acknowledged) } else { random_event(&mut self.random) };
            let index = self.harness.submit(event.clone());
            self.open.insert(index, event);
        }
    }

    fn ask(&mut self) {
        let number = self.random.below(USERS);
        let viewer = self.random.pick(&[citizen(number), SERVICE, THIRD_PARTY]);
        let (profiles, asker) = (self.harness.profiles.clone(), viewer.clone());
        self.asked.push(PendingView {
            user: number,
            viewer,
            acknowledged: self.durable.acknowledged(number),
            day: self.harness.runtime.services.today(),
            answer: actix_rt::spawn(async move { profiles.view(user(number), &asker, SchemaVersion::NEWEST).await }),
        });
    }

    /// A late reader takes a head, or makes a view from the one that it took.
    fn read_late(&mut self) {
        if self.late.len() < 2 {
            let number = self.random.below(USERS);
            let viewer = self.random.pick(&[citizen(number), SERVICE]);
            let acknowledged = self.durable.acknowledged(number);
            self.late.extend(LateReader::ask(&self.harness, number, viewer, acknowledged));
        } else {
            let index = self.random.below(self.late.len());
            self.finish_late(index);
        }
    }

    fn finish_late(&mut self, index: usize) {
        let mut late = self.late.swap_remove(index);
        match late.finish(&self.harness) {
            Some(answer) => {
                self.tally.count_times("late views", usize::from(answer.is_ok()));
                self.durable.check_view(late.number, &late.viewer, late.acknowledged, late.day, answer);
            }
            None => self.late.push(late),
        }
    }

    fn subscribe(&mut self) {
        if self.subscribers.len() >= 4 {
            return;
        }
        let client = if !self.random.one_in(4) && !self.left.is_empty() {
            self.left.swap_remove(self.random.below(self.left.len()))
        } else {
            let number = self.random.below(USERS);
            let viewer = self.random.pick(&[citizen(number), SERVICE, THIRD_PARTY]);
            let fields = self.random.one_in(3).then(|| domain::table::Member::Economic.leaves());
            let schema = self.random.pick(SchemaVersion::ALL);
            let names_sources = self.random.one_in(3);
            Client::new(number, viewer, fields, schema, names_sources)
        };
        let capacity = 1 + self.random.below(4);
        self.subscribers.push(Subscriber::open(&self.harness, client, capacity));
    }

    fn unsubscribe(&mut self) {
        if !self.subscribers.is_empty() {
            let index = self.random.below(self.subscribers.len());
            self.left.push(self.subscribers.swap_remove(index).close(&self.harness));
        }
    }

    fn fail_next_commit(&mut self) {
        let fate = if self.random.one_in(20) { Fate::Unknown } else { Fate::NotTaken };
        self.harness.set_fate(if self.random.one_in(20) { Fate::Panics } else { fate });
        self.tally.count("failed groups");
    }

    fn kill(&mut self) {
        let number = self.random.below(USERS);
        if !self.harness.runtime.roster.send_if_live(&user(number), Request::Panic) {
            return;
        }
        self.tally.count("killed");
        self.tally.count_times("killed in flight", usize::from(self.harness.runtime.services.permits.taken() > 0));
    }

    fn break_next_unpack(&mut self) {
        let fault = self.random.pick(&[UnpackFault::NotAState, UnpackFault::Panics]);
        self.harness.shard.unpack_fault.set(Some(fault));
        self.is_unpack_broken = true;
    }

    /// Counts how users moved between the tiers, and checks the heads of warm users.
    fn check_tiers(&mut self) {
        for number in 0..USERS {
            let roster = &self.harness.runtime.roster;
            let form = roster.form(&user(number));
            match (std::mem::replace(&mut self.forms[number], form), form) {
                (Form::Live | Form::Starting, Form::Warm) => self.tally.count("became warm"),
                (Form::Warm, Form::Starting | Form::Live) => self.tally.count("started from memory"),
                (Form::Warm, Form::Cold) => self.tally.count("dropped to cold"),
                _ => {}
            }
            if let Some(packed) = roster.packed(&user(number)) {
                self.durable.check_warm(number, &packed);
            }
        }
        let fault = self.harness.shard.unpack_fault.take();
        if self.is_unpack_broken && fault.is_none() {
            self.tally.count("unreadable");
        }
        self.is_unpack_broken = fault.is_some();
        self.harness.shard.unpack_fault.set(fault);
    }

    /// Checks that the row of each user is that of its version, and has what was acknowledged.
    fn check_columns(&mut self) {
        let columns = &self.harness.runtime.columns;
        for number in 0..USERS {
            let row = self.fixture.store.row(&user(number)).map(|row| columns.row(row));
            self.durable.check_row(number, row, columns.is_ready());
        }
    }

    fn tick(&mut self) {
        let live = self.harness.shard.slots.borrow().len();
        self.harness.shard.on_tick();
        self.tally.count_times("passivated", live - self.harness.shard.slots.borrow().len());
    }

    /// Changes the clock or the policy.
    fn change_clock_or_policy(&mut self) {
        match self.random.below(5) {
            0 => {
                self.policy = 1 - self.policy;
                self.fixture.policy.store(policy(self.policy).into());
                // Until the next tick, what was queued under the old policy may still be sent.
                self.harness.shard.on_tick();
            }
            1 => self.fixture.set_now(self.fixture.now() - DAY / 3),
            _ => self.fixture.set_now(self.fixture.now() + DAY / 2),
        }
        // If the clock goes back, a view that has no answer yet may be of the earlier day.
        let today = self.harness.runtime.services.today();
        self.asked.iter_mut().for_each(|asked| asked.day = asked.day.min(today));
        self.late.iter_mut().for_each(|late| late.day = late.day.min(today));
    }

    /// Restarts. Everything that is not durable is gone; records of unknown fate may be there or not.
    fn restart(&mut self) {
        for asked in self.asked.drain(..) {
            asked.answer.abort();
        }
        self.late.clear();
        self.left.extend(self.subscribers.drain(..).map(Subscriber::lose));
        self.open.clear();
        self.fixture.store.restart(self.random.below(4));
        let ports = self.fixture.ports();
        self.harness = Harness::start_unfilled(self.fixture.clone(), ports, options(&mut self.random));
        self.durable.restart(&self.fixture);
        self.forms = [Form::Cold; USERS];
        self.is_unpack_broken = false;
        self.tally.count("restarts");
    }

    async fn check(&mut self) {
        self.durable.follow(&self.fixture);
        self.check_tiers();
        self.check_columns();
        while let Ok(result) = self.harness.results.try_recv() {
            let event = self.open.remove(&result.index).expect("one result for each event");
            match result.status {
                Status::Applied { .. } => self.tally.count("applied"),
                Status::Unchanged { .. } => self.tally.count("unchanged"),
                Status::Duplicate { .. } => self.tally.count("duplicates"),
                Status::Erased => panic!("nobody was erased"),
                Status::Busy => self.tally.count("busy"),
            }
            if self.durable.check_answer(&event, result.status) {
                self.acknowledged.push(event);
            }
        }
        for index in (0..self.asked.len()).rev() {
            if self.asked[index].answer.is_finished() {
                let asked = self.asked.swap_remove(index);
                let answer = asked.answer.await.expect("the question does not panic");
                self.tally.count_times("views", usize::from(answer.is_ok()));
                let is_hit = answer.as_ref().is_ok_and(|view| view.cache_hit);
                self.tally.count_times("cache hits", usize::from(is_hit));
                self.durable.check_view(asked.user, &asked.viewer, asked.acknowledged, asked.day, answer);
            }
        }
    }

    /// Lets everything finish, and checks what must hold when nothing is left to do.
    async fn finish(&mut self) {
        self.fixture.store.set_fate(Fate::Taken);
        self.harness.fill();
        // A late reader that has no head yet gives up. Those that have one make their view before anything settles.
        (0..self.late.len()).rev().for_each(|index| self.finish_late(index));
        self.late.clear();
        self.harness.settle().await;
        self.check().await;
        assert!(self.open.is_empty(), "every event has its result: {} have none", self.open.len());
        assert!(self.asked.is_empty(), "every question has its answer");
        assert_eq!(self.harness.runtime.services.permits.taken(), 0);
        // Deferred patches are sent at a tick. There are two, as the first may bring a new day.
        for _ in 0..2 {
            self.harness.shard.on_tick();
            self.harness.settle().await;
        }
        self.check().await;
        assert!(self.harness.runtime.missed.is_empty(), "every user whose commits were missed was loaded");
        for number in 0..USERS {
            if let (Some(row), Some(head)) = (self.fixture.store.row(&user(number)), self.durable.head(number)) {
                assert!(is_row_of(&self.harness.runtime.columns.row(row), head), "the row of a head");
            }
        }
        self.receive();
        self.subscribers.iter().for_each(|subscriber| subscriber.check_complete(&self.durable));
        for event in &self.acknowledged {
            self.durable.check_holds(event);
        }
    }
}

fn options(random: &mut SeededRandom) -> Options {
    Options {
        mailbox_capacity: 2 + random.below(10),
        commit_permits: 1 + random.below(20),
        commit_queue_capacity: 4 + random.below(20),
        max_group: 1 + random.below(4),
        max_live_actors: 1 + random.below(4),
        idle_passivate: if random.one_in(3) { Duration::ZERO } else { Duration::from_secs(86_400) },
        hot_actors_per_shard: 1 + random.below(2),
        hydration_queue: 1 + random.below(3),
        // None, one or two, or all of the users fit.
        warm_bytes: random.pick(&[0, 900, 1_500, 1 << 30]),
        ..by_hand()
    }
}

/// Returns an event of few users, times and values, so that stamps tie, values repeat and consent comes and goes.
fn random_event(random: &mut SeededRandom) -> FeedEvent {
    let number = random.below(USERS);
    let time = NOON - 100 + random.below(60) as i64;
    let id = format!("event-{}", random.below(4));
    let withdrawn = random.one_in(8);
    let value = |text: &str| (!withdrawn).then(|| text.to_owned());
    let leaf = |leaf, text: &str| (RegisterPath::Leaf(leaf), value(text));
    let (source, values) = match random.below(6) {
        0 => (Source::Metadata, vec![leaf(Leaf::EconomicIncomeBracket, random.pick(&["\"0-2.5L\"", "\"2.5L-5L\""]))]),
        1 => {
            (Source::SelfEdit, vec![leaf(Leaf::EconomicEmploymentType, random.pick(&["\"student\"", "\"salaried\""]))])
        }
        2 => (Source::SelfEdit, vec![leaf(Leaf::DemographicsState, random.pick(&["\"goa\"", "\"kerala\""]))]),
        3 | 4 => {
            let level = random.pick(&["\"minimal\"", "\"standard\"", "\"full\""]);
            let third_party = random.pick(&["true", "false"]);
            let values =
                vec![leaf(Leaf::ConsentDataSharingLevel, level), leaf(Leaf::ConsentThirdPartySharing, third_party)];
            (Source::Consent, values)
        }
        _ => {
            let (id, due) = (random.pick(&["d1", "d2"]), random.pick(&["2026-01-22", "2026-02-01"]));
            let details = format!(
                r#"{{"action_url":"/a","deadline_id":"{id}","description":"d","due_date":"{due}","priority":"low","type":"t"}}"#
            );
            (Source::Deadlines, vec![(RegisterPath::DeadlineDetails(id.into()), Some(details))])
        }
    };
    let values: Vec<_> = values.iter().map(|(path, value)| (path.clone(), value.as_deref())).collect();
    event(user(number), &id, time, source, &values)
}
