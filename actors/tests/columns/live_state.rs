//! The live state over a store in a directory, and the comparison of its columns with all stored users.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actors::{Options, Ports, Profiles, Reply, Status};
use arc_swap::ArcSwap;
use data::{GeneratedEvent, Population, PopulationOptions};
use domain::access::{AccessRules, Policy, ViewerRules};
use domain::columns::{Codes, Dictionaries, DictionaryKind, Row, layout};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::pipeline::validate::validate;
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::RowId;
use domain::port::projection::{ProjectionStore, StoredState, VisitedUser};
use domain::record::{self, Replay};
use domain::rules::Rules;
use domain::source::Source;
use domain::splitmix64;
use jiff::tz::TimeZone;
use store::{Closer, MasterKey, StoreOptions};
use tokio::sync::mpsc;

/// The time that the clock shows: just after the newest event of the population.
const NOW: i64 = 1_769_000_000_000_000;
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

struct FixedClock;

impl Clock for FixedClock {
    fn now_micros(&self) -> i64 {
        NOW
    }
}

/// Bytes that look random. No two starts have the same.
pub(crate) struct MixedEntropy(AtomicU64);

impl MixedEntropy {
    fn new() -> Arc<Self> {
        static STARTS: AtomicU64 = AtomicU64::new(0);
        let start = u64::from(std::process::id()) << 32 | STARTS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(AtomicU64::new(splitmix64::mix(start))))
    }
}

impl Entropy for MixedEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = splitmix64::mix(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Numbers from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        splitmix64::next(&mut self.0) % bound
    }
}

/// Events of a generated population, in any order that a test likes.
pub(crate) struct Events {
    population: Population,
    rules: Rules,
    /// The number of the next update of each user; `None` before the first events.
    next: Vec<Option<u64>>,
}

impl Events {
    pub(crate) fn new(users: usize) -> Self {
        let options = PopulationOptions { users: users as u64, ..PopulationOptions::default() };
        Self { population: Population::new(options), rules: rules(), next: vec![None; users] }
    }

    /// Returns the next events of a user.
    pub(crate) fn of_user(&mut self, number: usize) -> Vec<FeedEvent> {
        let index = number as u64;
        let events = match &mut self.next[number] {
            None => {
                self.next[number] = Some(0);
                self.population.first_events(index)
            }
            Some(next) => {
                *next += 1;
                vec![self.population.update(index, *next - 1)]
            }
        };
        events.iter().map(|event| accept(event, &self.rules)).collect()
    }

    /// Returns the next events of some users.
    pub(crate) fn of_some(&mut self, random: &mut Random, count: usize) -> Vec<FeedEvent> {
        let users = self.next.len() as u64;
        (0..count).flat_map(|_| self.of_user(random.below(users) as usize)).collect()
    }

    pub(crate) fn user(&self, number: usize) -> UserId {
        UserId::parse(&self.population.user_id(number as u64)).expect("an id")
    }
}

fn accept(event: &GeneratedEvent, rules: &Rules) -> FeedEvent {
    let source = Source::parse(event.source).expect("a source");
    validate(&event.json, source, rules, NOW).unwrap_or_else(|rejection| panic!("{}", rejection.detail()))
}

fn rules() -> Rules {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    Rules {
        zone: TimeZone::get("Asia/Kolkata").expect("the zone is bundled"),
        districts: districts.collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    }
}

/// The running live state and its store.
pub(crate) struct LiveState {
    pub(crate) profiles: Profiles,
    pub(crate) closer: Closer,
    projections: Arc<dyn ProjectionStore>,
    /// Whether a checkpoint's columns were found at the start.
    pub(crate) has_saved: bool,
}

impl LiveState {
    /// Opens the store in `dir` and starts on it. Checkpoints run so often.
    pub(crate) fn start(dir: &Path, checkpoint_interval: Duration) -> Self {
        let options = StoreOptions {
            segment_bytes: 1 << 20,
            checkpoint_interval,
            checkpoint_users_per_second: 0,
            retain_journal_bytes: 0,
            // So that many users are only in sled.
            known_users: 50,
            sled_cache_bytes: 32 << 20,
            dictionaries: data::STATE_DICTIONARIES.map(<[u8]>::to_vec).to_vec(),
            ..StoreOptions::new(dir)
        };
        let entropy = MixedEntropy::new();
        let store = store::open(options, &MasterKey::new(1, [1; 32]), Arc::new(Replay), entropy.clone())
            .unwrap_or_else(|error| panic!("the store opens: {error}"));
        let all = ViewerRules { minimal: vec!["*".to_owned()], ..ViewerRules::default() };
        let access = AccessRules { self_citizen: all, ..AccessRules::default() };
        let policy = Policy::compile(&access).expect("a policy");
        let projections = store.projections;
        let has_saved = projections.saved(layout()).is_some();
        let ports = Ports {
            journal: store.journal,
            store: store.reader,
            projections: projections.clone(),
            log: store.log,
            clock: Arc::new(FixedClock),
            entropy,
            rules: Arc::new(rules()),
            policy: Arc::new(ArcSwap::from_pointee(policy)),
        };
        let options = Options {
            shards: 2,
            // Most users are warm or cold.
            hot_actors_per_shard: 4,
            warm_bytes: 40_000,
            epoch: store.epoch,
            ..Options::default()
        };
        let profiles = Profiles::start(options, ports).expect("threads");
        store.closer.use_committed_states(profiles.committed_states());
        store.closer.save_projection(profiles.columns_to_save());
        Self { profiles, closer: store.closer, projections, has_saved }
    }

    /// Waits until the columns are filled.
    pub(crate) fn wait_until_ready(&self) {
        let started = Instant::now();
        while !self.profiles.columns().is_ready() {
            assert!(started.elapsed() < PATIENCE, "the columns are not filled");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Submits events and waits for all results. One that is answered busy is submitted again.
    pub(crate) async fn submit(&self, events: Vec<FeedEvent>) {
        let mut waiting = events;
        let started = Instant::now();
        while !waiting.is_empty() {
            assert!(started.elapsed() < PATIENCE, "the live state is busy for ever");
            let (sender, mut results) = mpsc::unbounded_channel();
            for (index, event) in (0..).zip(&waiting) {
                drop(self.profiles.submit(event.clone(), Instant::now(), Reply::stream(index, sender.clone())));
            }
            drop(sender);
            let mut busy = Vec::new();
            while let Some(result) = results.recv().await {
                if result.status == Status::Busy {
                    busy.push(waiting[result.index as usize].clone());
                }
            }
            waiting = busy;
        }
    }

    /// Asserts that the columns equal what a scan of all stored users gives, and returns the number of users. Nothing may be
    /// submitted meanwhile.
    #[track_caller]
    pub(crate) fn assert_equal_to_a_rescan(&self, what: &str) -> usize {
        let columns = self.profiles.columns();
        let codes = KnownCodes(columns.dictionaries());
        let scan = self.projections.scan(None).expect("the store reads");
        let mut users = std::collections::BTreeSet::new();
        for part in 0..scan.parts() {
            let mut visit = |visited: Result<VisitedUser, _>| {
                let VisitedUser::Living(StoredState { row: id, packed, frames }) =
                    visited.expect("a user that can be read")
                else {
                    return;
                };
                let mut state = packed.map(record::unpack).transpose().expect("a state");
                for frame in &frames {
                    state = Some(record::replay(state, frame).expect("a frame"));
                }
                let state = state.expect("a user with frames");
                let (row, expected) = (columns.row(id), Row::from_state(&state, &codes));
                // A commit that changes no column leaves the version.
                assert_eq!(row.to_bytes()[8..], expected.to_bytes()[8..], "{what}: {row:?} for {expected:?}");
                assert!(row.version() <= expected.version(), "{what}");
                users.insert(id);
            };
            scan.visit(part, &mut visit).expect("the store reads");
        }
        let mut present = 0;
        columns.snapshot().expect("the only one").visit(|RowId(first), rows| {
            for (number, row) in (first..).zip(rows) {
                assert_eq!(row.is_present(), users.contains(&RowId(number)), "{what}: row {number}");
                present += usize::from(row.is_present());
            }
        });
        assert_eq!(present, users.len(), "{what}");
        present
    }

    /// Stops as a server does.
    pub(crate) async fn stop(self) {
        assert!(self.profiles.stop().await, "everything is drained");
        drop(self.projections);
        self.closer.close().expect("the last checkpoint");
    }
}

/// The codes that the columns have given. Every word has one.
struct KnownCodes(Dictionaries);

impl Codes for KnownCodes {
    fn code(&self, kind: DictionaryKind, word: &str) -> u16 {
        self.0.code(kind, word).expect("a word of a row")
    }
}

/// Runs a test on an actix system of its own.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(test)
}
