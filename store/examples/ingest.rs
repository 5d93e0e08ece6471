//! Measures how fast the store appends, folds and loads records.
//!
//! `cargo run --release -p store --example ingest -- [USERS] [DIRECTORY]` appends one record of 300 bytes for each of
//! USERS (default 1,000,000) at several group sizes, makes checkpoints, restarts, and prints the times.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::journal::{Record, RecordKind};
use domain::port::store::{Fold, LoadVisitor, ProfileStore, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use rand::Rng;
use store::{MasterKey, Store, StoreOptions};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BODY_BYTES: usize = 300;
const STATE_BYTES: usize = 900;
const BLOCK_BYTES: usize = 4000;

/// Makes states and history of realistic size with little work.
struct SizedFold;

impl Fold for SizedFold {
    fn replay(&self, _: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        let last = frames.last().map_or(&[][..], |record| &record.body);
        Ok(last.iter().copied().cycle().take(STATE_BYTES).collect())
    }

    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let key = |kind, number| SideKey { kind, number };
        let first = || SideRecord { key: key(SideKind::HISTORY, frames[0].sequence), body: Vec::new() };
        let mut block = newest_block.unwrap_or_else(first);
        frames.iter().for_each(|record| block.body.extend_from_slice(&record.body));
        let is_full = block.body.len() > BLOCK_BYTES;
        let next = frames[0].sequence + frames.len() as u64;
        let base = is_full.then(|| SideRecord { key: key(SideKind::BASE, next), body: state.to_vec() });
        Ok(SideChanges { put: [block].into_iter().chain(base).collect(), remove: Vec::new() })
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

fn open(directory: &Path) -> Store {
    let mut options = StoreOptions::new(directory);
    options.checkpoint_interval = Duration::from_secs(86_400);
    options.checkpoint_journal_bytes = u64::MAX / 2;
    store::open(options, &MasterKey::new(1, [1; 32]), Arc::new(SizedFold), Arc::new(OsEntropy)).expect("opens")
}

fn user(number: usize) -> UserId {
    // Spread, so that users do not come in the order of their keys.
    UserId::parse(&format!("usr_{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).expect("an id")
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let users: usize = arguments.next().map_or(1_000_000, |users| users.parse().expect("a number of users"));
    let directory = match arguments.next() {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    }
    .expect("a directory");
    let mut store = open(directory.path());
    let mut sequence = 0;
    for group in [4096, 1024, 256] {
        sequence += 1;
        append(&mut store, "each user once", users, group, sequence);
    }
    timed("checkpoint of every user", users, || store.closer.checkpoint().expect("a checkpoint"));
    sequence += 1;
    append(&mut store, "each user once, after a checkpoint", users, 4096, sequence);
    timed("checkpoint of every user again", users, || store.closer.checkpoint().expect("a checkpoint"));
    for (group, count) in [(64, 64_000), (16, 16_000), (1, 2_000)] {
        append(&mut store, "some users once more", count.min(users), group, sequence + 1);
        sequence += 1;
        let rest = users - count.min(users);
        append_range(&mut store, count.min(users)..count.min(users) + rest, 4096, sequence);
    }
    let sample: Vec<_> = (0..100_000.min(users)).map(|number| user(number * (users / 100_000.min(users)))).collect();
    timed("load with frames in the journal", sample.len(), || load(&*store.reader, &sample));
    drop(store);
    let store = timed("start after a crash", 1, || open(directory.path()));
    timed("close", 1, || store.closer.close().expect("closes"));
    drop((
        store.journal,
        store.reader,
        store.log,
        store.tables,
        store.projections,
        store.quarantine,
        store.dead_letters,
        store.backups,
    ));
    let store = timed("start after a clean stop", 1, || open(directory.path()));
    timed("load from sled only", sample.len(), || load(&*store.reader, &sample));
    for part in ["journal", "keyring", "sled"] {
        println!("{part}: {} MiB on disk", disk_bytes(&directory.path().join(part)) >> 20);
    }
}

fn append(store: &mut Store, what: &str, users: usize, group: usize, sequence: u64) {
    timed(&format!("append, {what}, groups of {group}"), users, || append_range(store, 0..users, group, sequence));
}

fn append_range(store: &mut Store, users: std::ops::Range<usize>, group: usize, sequence: u64) {
    let mut next = users.start;
    let mut body = vec![0; BODY_BYTES];
    rand::rng().fill_bytes(&mut body);
    while next < users.end {
        let end = (next + group).min(users.end);
        let record = |number| Record {
            user: user(number),
            generation: 1,
            sequence,
            kind: RecordKind::CHANGE,
            body: body.clone(),
        };
        let records: Vec<_> = (next..end).map(record).collect();
        let results = store.journal.append(&records).expect("taken");
        assert!(results.iter().all(Result::is_ok));
        next = end;
    }
}

/// Discards what is loaded.
struct Discard;

impl LoadVisitor for Discard {
    fn checkpoint(&mut self, _: Option<Vec<u8>>) -> Result<(), StoreError> {
        Ok(())
    }

    fn needs_history(&self) -> bool {
        false
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn frame(&mut self, _: &Record) -> Result<(), StoreError> {
        Ok(())
    }
}

fn load(reader: &dyn ProfileStore, users: &[UserId]) {
    for user in users {
        assert!(reader.load(user, &mut Discard).expect("reads").is_some());
    }
}

fn timed<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_nanoseconds());
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    let cpu = (cpu_nanoseconds() - cpu) as f64 / 1000.0 / count as f64;
    println!("{what}: {seconds:.2} s, {:.0} a second, {cpu:.1} µs of CPU time each", count as f64 / seconds);
    result
}

/// Returns the thread's time on a core, which is the first number of the file.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn disk_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = path.metadata() else { return 0 };
    let own = metadata.blocks() * 512;
    let inner = |path: &Path| std::fs::read_dir(path).map(|all| all.flatten().map(|one| disk_bytes(&one.path())).sum());
    own + if metadata.is_dir() { inner(path).unwrap_or(0) } else { 0 }
}
