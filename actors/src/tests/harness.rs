//! The parts of the live state, run by hand on one thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr};
use domain::access::Viewer;
use domain::event::FeedEvent;
use domain::schema_version::SchemaVersion;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::fixture::{Fixture, user};
use super::ram_store::Fate;
use crate::assemble::{Parts, assemble};
use crate::columns::Filler;
use crate::committer::Committer;
use crate::history_lane::HistoryReader;
use crate::loader::Loader;
use crate::runtime::{RosterActor, Runtime, Shard};
use crate::{EventResult, Options, Ports, Profiles, Reply, Status};

/// Returns options for one shard on the test's own thread, with ticks that the test makes.
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

/// The live state, of which the test runs each part by hand.
pub(super) struct Harness {
    pub(super) fixture: Fixture,
    pub(super) profiles: Profiles,
    pub(super) runtime: Arc<Runtime>,
    pub(super) shard: Rc<Shard>,
    pub(super) committer: Committer,
    pub(super) loader: Arc<Mutex<Loader>>,
    pub(super) history: HistoryReader,
    filler: Option<Filler>,
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
        let mut harness = Self::start_unfilled(fixture, ports, options);
        harness.fill();
        harness
    }

    /// Starts without filling the columns.
    pub(super) fn start_unfilled(fixture: Fixture, ports: Ports, options: Options) -> Self {
        let Parts { runtime, committer, mut loaders, mut history_readers, filler, mut events } =
            assemble(options, ports);

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
            history: history_readers.pop().expect("one thread"),
            filler: Some(filler),
            results,
            sender,
            submitted: 0,
            _roster: roster.start(),
        }
    }

    /// Submits an event. Returns its index in the results.
    pub(super) fn submit(&mut self, event: FeedEvent) -> u64 {
        let index = self.submitted;
        self.submitted += 1;
        // If the event is refused at once, the reply comes back and is dropped, which answers busy.
        let _ = self.profiles.submit(event, Instant::now(), Reply::stream(index, self.sender.clone()));
        index
    }

    /// Runs the next batch of the hydration thread.
    pub(super) fn load(&self) {
        self.loader.lock().step(false);
    }

    /// Fills the columns, if they are not filled yet.
    pub(super) fn fill(&mut self) {
        if let Some(filler) = self.filler.take() {
            filler.run(&self.runtime.columns, &self.runtime.closing);
        }
    }

    /// Runs the hydration thread during the sync of the next group.
    pub(super) fn load_while_syncing(&self) {
        let loader = Arc::clone(&self.loader);
        self.fixture.store.while_syncing(move || {
            loader.lock().step(false);
        });
    }

    /// Lets the tasks of this thread run, each up to `turns` times.
    pub(super) async fn run_tasks(&self, turns: usize) {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Runs all parts until nothing is left to do.
    pub(super) async fn settle(&mut self) {
        self.run_tasks(8).await;
        while self.is_busy() {
            self.committer.step(false);
            self.load();
            self.history.step(false);
            self.run_tasks(8).await;
        }
    }

    fn is_busy(&self) -> bool {
        let Runtime { services, roster, loads, history, look_ups, .. } = &*self.runtime;
        let is_reading = loads.has_past() || history.has_job() || look_ups.taken() > 0;
        services.permits.taken() > 0 || roster.starting() > 0 || !roster.is_quiet() || is_reading
    }

    /// Submits an event, runs all parts, and returns the result.
    pub(super) async fn apply(&mut self, event: FeedEvent) -> Status {
        let index = self.submit(event);
        self.settle().await;
        let result = self.results.try_recv().expect("settled");
        assert_eq!(result.index, index);
        result.status
    }

    /// Asks a question, runs all parts, and returns the answer.
    pub(super) async fn ask<T: 'static>(&mut self, question: impl Future<Output = T> + 'static) -> T {
        let answer = actix_rt::spawn(question);
        self.settle().await;
        answer.await.expect("the question does not panic")
    }

    pub(super) async fn view(&mut self, number: usize, viewer: Viewer) -> Result<crate::View, crate::ReadError> {
        let profiles = self.profiles.clone();
        self.ask(async move { profiles.view(user(number), &viewer, SchemaVersion::NEWEST).await }).await
    }

    /// Sets the result of the next commit.
    pub(super) fn set_fate(&self, fate: Fate) {
        self.fixture.store.set_fate(fate);
    }
}

/// Runs a test on an actix system of its own.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}
