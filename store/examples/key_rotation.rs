//! Measures how long a rotation of the ring key takes, and how long slots wait meanwhile.
//!
//! `cargo run --release -p store --example key_rotation -- [USERS] [DIRECTORY]` appends one record for each of USERS (default
//! 1,000,000), rotates both keys while new users are added, and prints the times.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::journal::{Record, RecordKind};
use domain::port::store::{Fold, SideChanges, SideRecord, StoreError};
use rand::Rng;
use store::{MasterKey, StoreOptions};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUP: usize = 4096;

/// Nothing is folded here.
struct NoFold;

impl Fold for NoFold {
    fn replay(&self, _: Option<&[u8]>, _: &[Record]) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn keep_history(&self, _: &[u8], _: Option<SideRecord>, _: &[Record]) -> Result<SideChanges, StoreError> {
        Ok(SideChanges { put: Vec::new(), remove: Vec::new() })
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

fn record(number: usize) -> Record {
    let user = UserId::parse(&format!("usr_{number:012}")).expect("an id");
    Record { user, generation: 1, sequence: 1, kind: RecordKind::CHANGE, body: vec![7; 100] }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let users: usize = arguments.next().map_or(1_000_000, |users| users.parse().expect("a number of users"));
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = arguments.next().map_or_else(|| temporary.path().to_owned(), |dir| Path::new(&dir).to_owned());
    let master = MasterKey::new(1, [1; 32]);
    let options = StoreOptions { checkpoint_interval: Duration::from_secs(86_400), ..StoreOptions::new(&dir) };
    let options = StoreOptions { checkpoint_journal_bytes: u64::MAX / 4, ..options };
    let mut store = store::open(options, &master, Arc::new(NoFold), Arc::new(OsEntropy)).expect("the store opens");
    let mut next = 0;
    while next < users {
        let group: Vec<Record> = (next..users.min(next + GROUP)).map(record).collect();
        next += group.len();
        assert!(store.journal.append(&group).expect("taken").iter().all(Result::is_ok));
    }

    let keys = store.closer.keys();
    let start = Instant::now();
    let newer = master.with_version(2, [2; 32]);
    keys.rotate_master(&newer).expect("rotated");
    println!("master key: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let start = Instant::now();
    let rotation = std::thread::spawn(move || keys.rotate_ring(&newer).expect("rotated"));
    let mut waits = Vec::new();
    while !rotation.is_finished() {
        let append = Instant::now();
        assert!(store.journal.append(&[record(next)]).expect("taken").iter().all(Result::is_ok));
        waits.push(append.elapsed());
        next += 1;
    }
    let report = rotation.join().expect("no panic");
    let took = start.elapsed().as_secs_f64();
    waits.sort_unstable();
    let quantile = |part: f64| waits[(waits.len() as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "ring key: {} keys in {took:.2} s ({:.0} a second), {} damaged",
        report.keys,
        report.keys as f64 / took,
        report.damaged
    );
    if !waits.is_empty() {
        println!(
            "appends of new users meanwhile: {}, median {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
            waits.len(),
            quantile(0.5),
            quantile(0.99),
            waits[waits.len() - 1].as_secs_f64() * 1e3
        );
    }
}
