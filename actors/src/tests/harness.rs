//! Events, viewers and policies to test with, and the parts run by hand on one thread.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use actix::{Actor, Addr};
use arc_swap::ArcSwap;
use domain::access::{AccessRules, Policy, Viewer, ViewerRules};
use domain::canonical::CanonicalJson;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite, SharedText};
use domain::id::UserId;
use domain::port::clock::Clock;
use domain::rules::Rules;
use domain::source::Source;
use domain::table::Leaf;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::ram_store::{CountingEntropy, Fate, ManualClock, RamStore};
use crate::assemble::{Parts, assemble};
use crate::committer::Committer;
use crate::loader::Loader;
use crate::runtime::{RosterActor, Runtime, Shard};
use crate::{EventResult, Options, Ports, Profiles, Reply, Status};

/// 2026-01-20T10:30:00Z.
pub(super) const NOON: i64 = 1_768_905_000_000_000;
pub(super) const DAY: i64 = 86_400_000_000;

pub(super) fn user(number: usize) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

pub(super) fn citizen(number: usize) -> Viewer {
    Viewer::SelfCitizen(user(number))
}

pub(super) const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: false };
pub(super) const THIRD_PARTY: Viewer = Viewer::Service { profile_read: true, third_party: true, ai_context: false };

/// The default table's shape; a second one takes economic fields from services.
pub(super) fn policy(number: usize) -> Policy {
    let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let all = || ViewerRules { minimal: paths(&["*"]), ..ViewerRules::default() };
    let full = if number == 0 { paths(&["deadlines.*", "economic.employment_type"]) } else { Vec::new() };
    let service = ViewerRules {
        minimal: paths(&["demographics.state"]),
        standard: if number == 0 { paths(&["economic.income_bracket"]) } else { Vec::new() },
        full,
    };
    let rules = AccessRules { self_citizen: all(), agent: all(), admin: all(), service, ..AccessRules::default() };
    Policy::compile(&rules).expect("the table names fields")
}

pub(super) fn event(
    user: UserId,
    id: &str,
    time: i64,
    source: Source,
    values: &[(RegisterPath, Option<&str>)],
) -> FeedEvent {
    let write = |(path, value): &(RegisterPath, Option<&str>)| RegisterWrite {
        path: path.clone(),
        kind: source.kinds()[0],
        value: value.map(CanonicalJson::from_canonical),
    };
    let writes = values.iter().map(write).collect();
    FeedEvent { id: SharedText::from(id), source, user, time, registration: false, writes }
}

pub(super) fn income(number: usize, time: i64, bracket: &str) -> FeedEvent {
    let value = format!("\"{bracket}\"");
    let path = RegisterPath::Leaf(Leaf::EconomicIncomeBracket);
    event(user(number), &format!("income-{time}"), time, Source::Metadata, &[(path, Some(&value))])
}

/// What the actors stand on; it outlives a restart of them.
#[derive(Clone)]
pub(super) struct Fixture {
    pub(super) store: RamStore,
    pub(super) clock: Arc<ManualClock>,
    pub(super) entropy: Arc<CountingEntropy>,
    pub(super) rules: Arc<Rules>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let rules = Rules {
            zone: TimeZone::get("Asia/Kolkata").expect("the zone is bundled"),
            districts: Default::default(),
            not_applicable: Vec::new(),
            schemes_waiting: Default::default(),
            limits: Default::default(),
        };
        Self {
            store: RamStore::default(),
            clock: Arc::new(ManualClock(AtomicI64::new(NOON))),
            entropy: Arc::default(),
            rules: Arc::new(rules),
            policy: Arc::new(ArcSwap::from_pointee(policy(0))),
        }
    }

    pub(super) fn ports(&self) -> Ports {
        Ports {
            journal: Box::new(self.store.clone()),
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            rules: self.rules.clone(),
            policy: self.policy.clone(),
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now_micros()
    }

    pub(super) fn set_now(&self, now: i64) {
        self.clock.0.store(now, Ordering::Relaxed);
    }
}

/// Options for one shard on the test's own thread, whose ticks are made by hand.
pub(super) fn by_hand() -> Options {
    Options {
        shards: 1,
        hydration_threads: 1,
        tick: std::time::Duration::from_secs(86_400),
        idle_passivate: std::time::Duration::from_secs(10 * 86_400),
        day_roll_spread: std::time::Duration::ZERO,
        ..Options::default()
    }
}

/// The parts, each run by hand.
pub(super) struct Harness {
    pub(super) fixture: Fixture,
    pub(super) profiles: Profiles,
    pub(super) runtime: Arc<Runtime>,
    pub(super) shard: Rc<Shard>,
    pub(super) committer: Committer,
    pub(super) loader: Arc<Mutex<Loader>>,
    pub(super) results: mpsc::UnboundedReceiver<EventResult>,
    sender: mpsc::UnboundedSender<EventResult>,
    submitted: u64,
    _roster: Addr<RosterActor>,
}

impl Harness {
    pub(super) fn start(fixture: Fixture, options: Options) -> Self {
        let ports = fixture.ports();
        Self::start_with(fixture, ports, options)
    }

    pub(super) fn start_with(fixture: Fixture, ports: Ports, options: Options) -> Self {
        let Parts { runtime, committer, mut loaders, mut events } = assemble(options, ports);
        let roster = RosterActor::new(Arc::clone(&runtime), 0, events.pop().expect("one shard"));
        let shard = roster.shard();
        let (sender, results) = mpsc::unbounded_channel();
        Self {
            fixture,
            profiles: Profiles::over(Arc::clone(&runtime)),
            runtime,
            shard,
            committer,
            loader: Arc::new(Mutex::new(loaders.pop().expect("one thread"))),
            results,
            sender,
            submitted: 0,
            _roster: roster.start(),
        }
    }

    /// Submits an event; its index in the results.
    pub(super) fn submit(&mut self, event: FeedEvent) -> u64 {
        let index = self.submitted;
        self.submitted += 1;
        // What is refused at once answers like what is refused later: the reply comes back and is dropped.
        let _ = self.profiles.submit(event, Instant::now(), Reply::stream(index, self.sender.clone()));
        index
    }

    /// Runs the hydration thread's next batch.
    pub(super) fn load(&self) {
        self.loader.lock().step(false);
    }

    /// Runs the hydration thread while the next group is on its way.
    pub(super) fn load_while_syncing(&self) {
        let loader = Arc::clone(&self.loader);
        self.fixture.store.while_syncing(move || {
            loader.lock().step(false);
        });
    }

    /// Lets the tasks run that can.
    pub(super) async fn run_tasks(&self, turns: usize) {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Runs everything until nothing is under way.
    pub(super) async fn settle(&mut self) {
        self.run_tasks(8).await;
        while self.is_busy() {
            self.committer.step(false);
            self.load();
            self.run_tasks(8).await;
        }
    }

    fn is_busy(&self) -> bool {
        let Runtime { services, roster, loads, look_ups, .. } = &*self.runtime;
        let is_reading = loads.has_past() || look_ups.taken() > 0;
        services.permits.taken() > 0 || roster.hydrating() > 0 || !roster.is_quiet() || is_reading
    }

    /// Submits and runs until the result is there.
    pub(super) async fn apply(&mut self, event: FeedEvent) -> Status {
        let index = self.submit(event);
        self.settle().await;
        let result = self.results.try_recv().expect("settled");
        assert_eq!(result.index, index);
        result.status
    }

    /// Reads and runs until the answer is there.
    pub(super) async fn ask<T: 'static>(&mut self, question: impl Future<Output = T> + 'static) -> T {
        let answer = actix_rt::spawn(question);
        self.settle().await;
        answer.await.expect("the question does not panic")
    }

    pub(super) async fn view(&mut self, number: usize, viewer: Viewer) -> Result<crate::View, crate::ReadError> {
        let profiles = self.profiles.clone();
        self.ask(async move { profiles.view(user(number), &viewer).await }).await
    }

    pub(super) fn set_fate(&self, fate: Fate) {
        self.fixture.store.set_fate(fate);
    }
}

/// Runs a test on an actix system of its own.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}
