//! The live state over a store in a directory, and the comparison of its columns with all stored users.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actors::columns::ColumnStore;
use actors::{EraseError, Options, Ports, Profiles, Reply, Status};
use arc_swap::ArcSwap;
use domain::access::{AccessRules, Policy, ViewerRules};
use domain::columns::{Codes, Dictionaries, DictionaryKind, Row, Version, layout};
use domain::erasure::ErasureReason;
use domain::event::FeedEvent;
use domain::port::clock::{Clock, Entropy};
use domain::port::erasure::{ErasedUser, ErasureParticipant};
use domain::port::journal::RowId;
use domain::port::projection::{ProjectionStore, StoredState, VisitedUser};
use domain::record::{self, Replay};
use domain::splitmix64;
use store::{Closer, MasterKey, StoreOptions};
use tokio::sync::mpsc;

use crate::events::{Events, rules};

/// The time that the clock shows: just after the newest event of the population.
pub(crate) const NOW: i64 = 1_769_000_000_000_000;
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

/// The running live state and its store.
pub(crate) struct LiveState {
    pub(crate) profiles: Profiles,
    pub(crate) closer: Closer,
    projections: Arc<dyn ProjectionStore>,
    keys: Arc<dyn ErasureParticipant>,
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
        Self { profiles, closer: store.closer, projections, keys: store.keys, has_saved }
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

    /// Erases a user as the server does: when it returns, the row is empty, the key of the records is destroyed, and that of the
    /// saved columns if `reseals`. Returns whether there was a living user.
    pub(crate) async fn erase(&self, events: &mut Events, number: usize, reseals: bool) -> bool {
        let started = Instant::now();
        let erased: ErasedUser = loop {
            match self.profiles.erase(events.user(number), ErasureReason::Citizen).await {
                Ok(erased) => break erased,
                Err(EraseError::Unknown) => return false,
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
            }
        };
        let was_alive = events.is_alive(number);
        assert!(!self.profiles.columns().row(erased.row).is_present(), "acknowledged, and the row is still there");
        self.keys.forget(&erased).expect("the key is destroyed");
        if reseals {
            self.closer.reseal_projection().expect("resealed");
        }
        events.end_life(number);
        was_alive
    }

    /// Returns what compares the columns with the store, also on another thread.
    pub(crate) fn rescan(&self) -> Rescan {
        Rescan { columns: self.profiles.columns(), projections: self.projections.clone() }
    }

    /// Asserts that the columns equal what a scan of all stored users gives, and returns the number of living users. Nothing may
    /// be submitted meanwhile.
    #[track_caller]
    pub(crate) fn assert_equal_to_a_rescan(&self, what: &str) -> usize {
        self.rescan().assert_equal(what, |_| true).living
    }

    /// Stops as a server does.
    pub(crate) async fn stop(self) {
        assert!(self.profiles.stop().await, "everything is drained");
        drop(self.projections);
        self.closer.close().expect("the last checkpoint");
    }
}

/// Compares the columns with a scan of all stored users.
pub(crate) struct Rescan {
    columns: Arc<ColumnStore>,
    projections: Arc<dyn ProjectionStore>,
}

/// What a comparison has seen, of the rows that were compared.
pub(crate) struct Compared {
    pub(crate) living: usize,
    pub(crate) erased: usize,
    pub(crate) rows: BTreeSet<RowId>,
}

impl Rescan {
    /// Asserts that the rows which `is_quiet` names equal what a scan gives, and that erased users have none. Nothing of the
    /// users of these rows may be submitted meanwhile; others may change, leave and return.
    #[track_caller]
    pub(crate) fn assert_equal(&self, what: &str, is_quiet: impl Fn(RowId) -> bool) -> Compared {
        // All words of quiet users are in the dictionaries: a word is, before the commit that brings it is acknowledged.
        let codes = KnownCodes(self.columns.dictionaries());
        let scan = self.projections.scan(None).expect("the store reads");
        let mut compared = Compared { living: 0, erased: 0, rows: BTreeSet::new() };
        let mut living = BTreeSet::new();
        for part in 0..scan.parts() {
            let mut visit = |visited: Result<VisitedUser, _>| {
                let visited = visited.expect("a user that can be read");
                let id = match &visited {
                    VisitedUser::Erased(id, _) => *id,
                    VisitedUser::Living(stored) => stored.row,
                };
                if !is_quiet(id) {
                    return;
                }
                let expected = expected(visited, &codes);
                let row = self.columns.row(id);
                // A commit that changes no column leaves the version.
                assert_eq!(row.to_bytes()[8..], expected.to_bytes()[8..], "{what}: {row:?} for {expected:?}");
                assert!(row.version() <= expected.version(), "{what}");
                let is_new = if expected.is_present() { living.insert(id) } else { !compared.rows.contains(&id) };
                compared.erased += usize::from(is_new && !expected.is_present());
                compared.rows.insert(id);
            };
            scan.visit(part, &mut visit).expect("the store reads");
        }
        self.columns.snapshot().expect("the only one").visit(|RowId(first), rows| {
            for (number, row) in (first..).zip(rows).filter(|(number, _)| is_quiet(RowId(*number))) {
                assert_eq!(row.is_present(), living.contains(&RowId(number)), "{what}: row {number}");
            }
        });
        compared.living = living.len();
        compared
    }
}

/// Returns the row that a stored user must have.
fn expected(visited: VisitedUser, codes: &KnownCodes) -> Row {
    let StoredState { packed, frames, .. } = match visited {
        VisitedUser::Living(stored) => stored,
        VisitedUser::Erased(_, tombstone) => {
            return Row::erased(Version::new(tombstone.generation, tombstone.last_sequence));
        }
    };
    let mut state = packed.map(record::unpack).transpose().expect("a state");
    for frame in &frames {
        state = Some(record::replay(state, frame).expect("a frame"));
    }
    Row::from_state(&state.expect("a user with frames"), codes)
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
