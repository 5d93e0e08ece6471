//! Shared by the store's tests: a fold that keeps everything, seeded randomness, and a store in a directory.

#![allow(dead_code, reason = "each test binary takes what it needs")]

pub(crate) mod clock;
pub(crate) mod erasing;
pub(crate) mod faulty_disk;
pub(crate) mod layout;
pub(crate) mod recorded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::journal::{OutOfSequence, Record, RecordKind};
use domain::port::store::{
    Fold, LoadVisitor, LoadedUser, ProfileStore, SideChanges, SideKey, SideKind, SideRecord, StoreError,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::{MasterKey, OpenError, Store, StoreOptions};

/// Reproducible bytes from a seed.
pub(crate) struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(StdRng::seed_from_u64(seed))))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().expect("no panic while locked").fill_bytes(bytes);
    }
}

/// Keeps every frame: the state is the list of all frames, and the history has them in blocks of [`BLOCK_FRAMES`]. A frame
/// makes a revision.
pub(crate) struct KeepAll;

/// Frames in a full history block.
pub(crate) const BLOCK_FRAMES: usize = 4;

impl Fold for KeepAll {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        let mut all = split(state.unwrap_or_default())?;
        all.extend(frames.iter().map(|record| record.body.clone()));
        Ok(join(&all))
    }

    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let all = split(state)?;
        let mut put = BTreeMap::new();
        let mut open = match newest_block {
            Some(block) => (block.key.number, split(&block.body)?),
            None => (frames[0].sequence, Vec::new()),
        };
        for Record { body, sequence, .. } in frames {
            open.1.push(body.clone());
            put.insert((SideKind::HISTORY, open.0), join(&open.1));
            if open.1.len() == BLOCK_FRAMES {
                put.insert((SideKind::BASE, sequence + 1), join(&all[..*sequence as usize]));
                open = (sequence + 1, Vec::new());
            }
        }
        let put = put.into_iter().map(|((kind, number), body)| SideRecord { key: SideKey { kind, number }, body });
        Ok(SideChanges { put: put.collect(), remove: Vec::new() })
    }

    /// Puts a frame [`LOST`] in the place of each that was lost.
    fn after_loss(&self, state: &[u8], sequence: u64, _: i64) -> Result<(Vec<u8>, SideChanges), StoreError> {
        let mut all = split(state)?;
        let left = all.len();
        all.resize(sequence as usize, LOST.to_vec());
        let state = join(&all);
        let side_record = |kind, number, body| SideRecord { key: SideKey { kind, number }, body };
        let put = vec![
            side_record(SideKind::HISTORY, left as u64 + 1, join(&all[left..])),
            side_record(SideKind::BASE, sequence + 1, state.clone()),
        ];
        Ok((state, SideChanges { put, remove: Vec::new() }))
    }
}

/// What stands for a frame that was lost.
pub(crate) const LOST: &[u8] = b"lost";

/// Joins frames to one body.
pub(crate) fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|frame| [&(frame.len() as u32).to_le_bytes()[..], frame].concat()).collect()
}

/// Returns the frames that [`join`] joined.
pub(crate) fn split(mut body: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Damaged { what: "a body of the tests".to_owned() };
    let mut frames = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk().ok_or_else(damaged)?;
        let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
        frames.push(frame.to_vec());
        body = rest;
    }
    Ok(frames)
}

pub(crate) fn master() -> MasterKey {
    MasterKey::new(1, [0x42; 32])
}

/// Folds as [`KeepAll`] does, after `look` was called with the frames of each replay.
pub(crate) struct KeepAllAfter<F>(pub(crate) F);

impl<F: Fn(&[Record]) -> Result<(), StoreError> + Send + Sync> Fold for KeepAllAfter<F> {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        (self.0)(frames)?;
        KeepAll.replay(state, frames)
    }

    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        KeepAll.keep_history(state, newest_block, frames)
    }

    fn after_loss(&self, state: &[u8], sequence: u64, now: i64) -> Result<(Vec<u8>, SideChanges), StoreError> {
        KeepAll.after_loss(state, sequence, now)
    }
}

/// Options for tests: small segments, and a checkpoint only when the test asks.
pub(crate) fn options(dir: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(dir);
    options.segment_bytes = 256 << 10;
    options.checkpoint_interval = Duration::from_secs(3600);
    options.sled_cache_bytes = 32 << 20;
    options.retain_journal_bytes = 0;
    // A test may set its clock without waiting for a confirmation.
    options.confirm_clock = Duration::ZERO;
    // Fewer than most tests have, so that sequences are read from memory and from sled.
    options.known_users = 30;
    options
}

/// Opens the store in `dir`.
pub(crate) fn try_open(options: StoreOptions, seed: u64) -> Result<Store, OpenError> {
    store::open(options, &master(), Arc::new(KeepAll), SeededEntropy::new(seed))
}

/// Opens the store in `dir`, or panics.
#[track_caller]
pub(crate) fn open(dir: &Path) -> Store {
    try_open(options(dir), 1).unwrap_or_else(|error| panic!("the store opens: {error}"))
}

/// Drops what is left of a store whose closer was used, so that its directory can be opened again.
#[allow(unused_macros, reason = "each test binary takes what it needs")]
macro_rules! drop_parts {
    ($store:ident) => {
        drop(($store.users, $store.keys, $store.journal, $store.reader, $store.log, $store.tables));
        drop(($store.projections, $store.quarantine, $store.dead_letters, $store.backups));
    };
}
#[allow(unused_imports, reason = "each test binary takes what it needs")]
pub(crate) use drop_parts;

/// Makes a last checkpoint and closes the store, so that its directory can be opened again.
#[track_caller]
pub(crate) fn close(store: Store) {
    store.closer.close().expect("the last checkpoint");
}

/// Waits for something that the store does in the background.
#[track_caller]
pub(crate) fn wait_for(is_done: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Appends one record of user number `number`, or panics.
#[track_caller]
pub(crate) fn append_one(store: &mut Store, number: usize, sequence: u64, body: Vec<u8>) {
    store.journal.append(&[record(number, sequence, body)]).expect("taken")[0].expect("in sequence");
}

/// Appends records, and returns which of them were taken, without the rows of their users.
#[track_caller]
pub(crate) fn append_group(store: &mut Store, group: &[Record]) -> Vec<Result<(), OutOfSequence>> {
    store.journal.append(group).expect("taken").into_iter().map(|result| result.map(drop)).collect()
}

/// Returns the segments of the journal, oldest first, without the one that is prepared.
pub(crate) fn segment_paths(dir: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(dir.join("journal")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "segment");
    let mut paths: Vec<_> = names.filter(is_segment).collect();
    paths.sort();
    paths
}

pub(crate) fn segments(dir: &Path) -> usize {
    segment_paths(dir).len()
}

pub(crate) fn user(number: usize) -> UserId {
    UserId::parse(&format!("usr_{number:012}")).expect("an id")
}

/// Returns the `sequence`-th record of user `number`.
pub(crate) fn record(number: usize, sequence: u64, body: Vec<u8>) -> Record {
    Record { user: user(number), generation: 1, sequence, kind: RecordKind::CHANGE, body }
}

/// Everything that a load passed on about a user.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The sequence of the newest frame.
    pub(crate) sequence: u64,
    /// The state of the last checkpoint.
    pub(crate) state: Option<Vec<u8>>,
    /// The revision that is looked for.
    since: u64,
    /// The last base that was accepted.
    pub(crate) base: Option<Vec<u8>>,
    /// History blocks, oldest first.
    pub(crate) blocks: Vec<Vec<u8>>,
    /// Frames since the checkpoint.
    pub(crate) frames: Vec<Vec<u8>>,
}

impl Loaded {
    /// Returns all frames, folded or not.
    #[track_caller]
    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        let mut all = split(self.state.as_deref().unwrap_or_default()).expect("a state");
        all.extend_from_slice(&self.frames);
        assert_eq!(self.sequence, all.len() as u64, "the sequence counts the frames");
        all
    }
}

impl LoadVisitor for Loaded {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        *self = Self { state, since: self.since, ..Self::default() };
        Ok(())
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        let is_before = split(&state)?.len() as u64 <= self.since;
        if is_before {
            self.base = Some(state);
        }
        Ok(is_before)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.blocks.push(body.to_vec());
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.frames.push(record.body.clone());
        Ok(())
    }
}

/// Loads user number `number`.
pub(crate) fn try_load(reader: &dyn ProfileStore, number: usize) -> Result<Option<Loaded>, StoreError> {
    let mut loaded = Loaded::default();
    let found = reader.load(&user(number), &mut loaded)?;
    Ok(found.map(|found| Loaded { sequence: living(found), ..loaded }))
}

/// Loads user number `number` with the history from revision `since` on.
#[track_caller]
pub(crate) fn load_history(reader: &dyn ProfileStore, number: usize, since: u64) -> Option<Loaded> {
    let mut loaded = Loaded { since, ..Loaded::default() };
    let found = reader.load_history(&user(number), since, &mut loaded).expect("the store reads");
    found.map(|found| Loaded { sequence: living(found), ..loaded })
}

/// Returns the sequence of a living user.
#[track_caller]
fn living(found: LoadedUser) -> u64 {
    match found {
        LoadedUser::Living { sequence, .. } => sequence,
        LoadedUser::Erased { tombstone, .. } => panic!("the user was erased: {tombstone:?}"),
    }
}

/// Asserts that a user's state and history are of the same fold: both hold every folded frame once.
#[track_caller]
pub(crate) fn check_history(store: &Store, number: usize, what: &str) {
    let Some(loaded) = load_history(&*store.reader, number, 0) else { return };
    let history = loaded.blocks.iter().flat_map(|block| split(block).expect("frames"));
    let state = split(loaded.state.as_deref().unwrap_or_default()).expect("frames");
    assert!(history.eq(state), "{what}: the history of user {number} does not fit the state");
}

/// Returns all frames of a user that the store has, folded or not.
#[track_caller]
pub(crate) fn frames(store: &Store, number: usize) -> Vec<Vec<u8>> {
    try_load(&*store.reader, number).expect("the store reads").map_or_else(Vec::new, |loaded| loaded.all())
}

/// Returns the seed of a test, from the clock, or from `STORE_TEST_SEED` to repeat a run. It is printed.
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment, or from the clock")]
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("STORE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a date").as_nanos() as u64,
    };
    #[expect(clippy::print_stderr, reason = "the harness shows it when the test fails")]
    {
        eprintln!("seed: STORE_TEST_SEED={seed}");
    }
    seed
}

/// Opens the trees of a store that is closed. A child that another test has just forked still has the lock for a moment.
pub(crate) fn open_sled(dir: &Path) -> sled::Db {
    let config = sled::Config::new().path(dir.join("sled"));
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("lock") => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.expect("sled"),
        }
    }
}
