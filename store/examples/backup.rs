//! Measures a backup beside a store that is written to, and its restore.
//!
//! `cargo run --release -p store --example backup -- [USERS] [DIRECTORY]` fills a store with USERS users (default 1,000,000) of
//! realistic size, makes a backup at rest, restores it, makes a backup under load, and prints the times, and how long appends
//! waited.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::journal::{Journal, Record, RecordKind};
use domain::port::store::{Fold, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use rand::Rng;
use store::backup::{BackupOptions, Backups, RestoreOptions, restore};
use store::{MasterKey, Store, StoreOptions};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BODY_BYTES: usize = 300;
const STATE_BYTES: usize = 900;
/// Users in a group of appends.
const GROUP: usize = 1024;
/// Pause between two groups under load.
const PAUSE: Duration = Duration::from_millis(40);

/// Makes states and history of realistic size with little work.
struct SizedFold;

impl Fold for SizedFold {
    fn replay(&self, _: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        let last = frames.last().map_or(&[][..], |record| &record.body);
        Ok(last.iter().copied().cycle().take(STATE_BYTES).collect())
    }

    fn keep_history(
        &self,
        _: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let key = SideKey { kind: SideKind::HISTORY, number: frames[0].sequence };
        let mut block = newest_block.unwrap_or(SideRecord { key, body: Vec::new() });
        frames.iter().for_each(|record| block.body.extend_from_slice(&record.body));
        Ok(SideChanges { put: vec![block], remove: Vec::new() })
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

fn options(directory: &Path) -> StoreOptions {
    StoreOptions { checkpoint_interval: Duration::from_secs(10), ..StoreOptions::new(directory) }
}

fn master() -> MasterKey {
    MasterKey::new(1, [1; 32])
}

fn group(first: usize, users: usize, sequence: u64) -> Vec<Record> {
    let mut body = vec![0; BODY_BYTES];
    let record = |number: usize| {
        rand::rng().fill_bytes(&mut body);
        let user = UserId::parse(&format!("usr_{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let (user, kind, body) = (user.expect("an id"), RecordKind::CHANGE, body.clone());
        Record { user, generation: 1, sequence, kind, body }
    };
    (first..users.min(first + GROUP)).map(record).collect()
}

fn append(journal: &mut dyn Journal, group: &[Record]) {
    let results = journal.append(group).expect("taken");
    results.into_iter().for_each(|result| assert!(result.is_ok()));
}

/// Makes a backup, and returns how many bytes it has.
fn back_up(backups: &Backups, to: &Path, what: &str) -> u64 {
    let start = Instant::now();
    let mut backup = backups.begin(BackupOptions::default()).expect("it begins");
    let begun = start.elapsed();
    let (mut file, mut bytes) = (File::create(to).expect("a file"), 0);
    while let Some(next) = backup.next_bytes().expect("it goes on") {
        file.write_all(&next).expect("written");
        bytes += next.len() as u64;
    }
    let elapsed = start.elapsed();
    println!(
        "{what}: {} MB in {:.1} s, {:.0} MB/s; it began after {:.2} s",
        bytes / 1_000_000,
        elapsed.as_secs_f64(),
        bytes as f64 / 1e6 / elapsed.as_secs_f64(),
        begun.as_secs_f64()
    );
    bytes
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let users: usize = arguments.next().map_or(1_000_000, |users| users.parse().expect("a number of users"));
    let directory = match arguments.next() {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    }
    .expect("a directory");
    let (data, file) = (directory.path().join("data"), directory.path().join("backup"));
    let store = store::open(options(&data), &master(), Arc::new(SizedFold), Arc::new(OsEntropy)).expect("opens");
    let Store { mut journal, closer, backups, .. } = store;
    for sequence in 1..=4 {
        (0..users).step_by(GROUP).for_each(|first| append(&mut *journal, &group(first, users, sequence)));
        closer.checkpoint().expect("a checkpoint");
    }
    back_up(&backups, &file, "a backup at rest");
    for verify in [false, true] {
        let to = directory.path().join("restored");
        let keyring = Some(data.join("keyring"));
        let options =
            RestoreOptions { store: options(&to), keyring, audit: None, accept_older_log: true, verify, now: 0 };
        let mut input = BufReader::with_capacity(1 << 20, File::open(&file).expect("a backup"));
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let start = Instant::now();
        let report = restore(&options, &master(), &entropy, &mut input, &mut |_| {}).expect("restored");
        let elapsed = start.elapsed().as_secs_f64();
        println!(
            "a restore{}: {} users in {elapsed:.1} s, {:.0} MB/s",
            if verify { " with a check of every record" } else { "" },
            report.users,
            report.bytes as f64 / 1e6 / elapsed
        );
        fs::remove_dir_all(&to).expect("removed");
    }
    let is_done = AtomicBool::new(false);
    let (longest, appended) = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut longest, mut appended) = (Duration::ZERO, 0_u64);
            for sequence in 5.. {
                for first in (0..users).step_by(GROUP) {
                    if is_done.load(Ordering::Relaxed) {
                        return (longest, appended);
                    }
                    let group = group(first, users, sequence);
                    let start = Instant::now();
                    append(&mut *journal, &group);
                    longest = longest.max(start.elapsed());
                    appended += group.len() as u64;
                    thread::sleep(PAUSE);
                }
            }
            (longest, appended)
        });
        thread::sleep(Duration::from_secs(5));
        back_up(&backups, &file, "a backup under load");
        is_done.store(true, Ordering::Relaxed);
        load.join().expect("no panic")
    });
    println!("meanwhile {appended} records were appended; the longest append took {} ms", longest.as_millis());
    closer.close().expect("closes");
    drop((journal, backups));
}
