//! Measures what the audit log costs.
//!
//! `cargo run --release -p store --example audit -- [ENTRIES] [DIRECTORY]` writes ENTRIES entries (default 1,000,000), and prints
//! nanoseconds and syncs for each entry, alone and in groups, the longest wait for one, the time of queries by subject while
//! the month is open and after it was closed, of proofs, of a start and of a check.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use domain::port::clock::Clock;
use domain::table::LeafSet;
use store::audit::{self, AuditKeys, AuditOptions, AuditStore, VerifyOptions};
use store::disk::{Disk, DiskDirectory, DiskFile, RealDisk};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USERS: u64 = 100_000;

/// The real disk, which counts syncs of files.
#[derive(Clone, Default)]
struct CountingDisk(Arc<AtomicU64>);

struct CountingFile(Arc<dyn DiskFile>, Arc<AtomicU64>);

impl CountingDisk {
    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountingFile(file, Arc::clone(&self.0)))
    }
}

impl Disk for CountingDisk {
    fn create(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.wrap(file))
    }
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path).map(|file| self.wrap(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        RealDisk.remove(path)
    }
    fn directory(&self, path: &Path) -> std::io::Result<Arc<dyn DiskDirectory>> {
        RealDisk.directory(path)
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sync_data()
    }
    fn allocate(&self, bytes: u64) -> std::io::Result<()> {
        self.0.allocate(bytes)
    }
    fn truncate(&self, bytes: u64) -> std::io::Result<()> {
        self.0.truncate(bytes)
    }
    fn length(&self) -> std::io::Result<u64> {
        self.0.length()
    }
    fn written_at(&self) -> std::io::Result<i64> {
        self.0.written_at()
    }
}

/// A clock that stands still until the month ends.
struct MonthClock(AtomicI64);

impl Clock for MonthClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// 2026-11-10.
const NOVEMBER: i64 = 1_794_268_800_000_000;
/// Microseconds of 31 days.
const MONTH: i64 = 31 * 24 * 3600 * 1_000_000;

fn entry(number: u64) -> AuditEntry {
    let actor = AuditActor::Caller("adm:asha".into());
    let mut entry = AuditEntry::new(AuditCategory::Compliance, "profile.read", actor);
    let user = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % USERS;
    entry.subject = UserId::parse(&format!("usr_{user:012}")).ok();
    entry.generation = Some(1);
    entry.fields = LeafSet::ALL;
    entry.reason = Some("complaint 42".to_owned());
    entry.request_id = Some(format!("0000000000000abc-1-{number:08x}"));
    entry
}

fn open(directory: &Path, disk: &CountingDisk, clock: &Arc<MonthClock>) -> AuditStore {
    let mut options = AuditOptions::new(directory, clock.clone());
    options.disk = Arc::new(disk.clone());
    audit::open(&options, keys()).expect("a log")
}

fn keys() -> AuditKeys {
    AuditKeys::from_keys([1; 32], &[2; 32], &[3; 32])
}

/// Writes entries from several threads, and prints what one costs.
fn write(log: &AuditStore, disk: &CountingDisk, what: &str, threads: u64, entries: u64) {
    let (syncs, start, slowest) = (disk.0.load(Ordering::Relaxed), Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let slowest = &slowest;
            scope.spawn(move || {
                for number in 0..entries / threads {
                    let before = Instant::now();
                    log.write_blocking(entry(thread * entries + number)).expect("an entry");
                    slowest.fetch_max(before.elapsed().as_micros() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    print_rate(what, entries, start.elapsed(), disk.0.load(Ordering::Relaxed) - syncs);
    println!("  the longest wait was {} µs", slowest.load(Ordering::Relaxed));
}

fn print_rate(what: &str, entries: u64, took: Duration, syncs: u64) {
    let (nanos, each) = (took.as_nanos() / u128::from(entries), syncs as f64 / entries as f64);
    println!("{what}: {entries} entries, {nanos} ns and {each:.4} syncs for each");
}

/// Returns how many files of the directory have `part` in their name.
fn count_files(directory: &Path, part: &str) -> usize {
    let names = std::fs::read_dir(audit::directory(directory)).expect("the log");
    names.filter(|item| item.as_ref().is_ok_and(|item| item.file_name().to_string_lossy().contains(part))).count()
}

/// Waits until the index has not changed for a while, and has such a file.
fn wait_for_index(directory: &Path, part: &str) {
    let start = Instant::now();
    loop {
        let before = count_files(directory, "");
        std::thread::sleep(Duration::from_millis(500));
        let is_done = count_files(directory, part) > 0 && count_files(directory, "index.tmp") == 0;
        if is_done && count_files(directory, "") == before || start.elapsed() > Duration::from_secs(60) {
            return;
        }
    }
}

/// Prints how long queries by subject take.
fn query(log: &AuditStore, place: &str, directory: &Path) {
    let (mut found, mut slowest, start) = (0, Duration::ZERO, Instant::now());
    for number in 0..200 {
        let mut query = AuditQuery::newest(50);
        query.categories = vec![AuditCategory::Compliance];
        query.subject = entry(1 << 40 | (number * 4_999)).subject;
        let before = Instant::now();
        found += log.query(&query).expect("a page").records.len();
        slowest = slowest.max(before.elapsed());
    }
    let runs = count_files(directory, ".run-");
    println!(
        "by subject, {place}: {} µs each, {slowest:?} the slowest, {} entries each, {runs} runs",
        start.elapsed().as_micros() / 200,
        found / 200
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number of entries"));
    let temporary = tempfile::tempdir().expect("a folder");
    let directory = arguments.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let disk = CountingDisk::default();
    let clock = Arc::new(MonthClock(AtomicI64::new(NOVEMBER)));
    let log = open(&directory, &disk, &clock);
    write(&log, &disk, "written one after the other", 1, 1_000);
    write(&log, &disk, "written by 64 threads", 64, 64_000);

    let (syncs, start, mut slowest) = (disk.0.load(Ordering::Relaxed), Instant::now(), Duration::ZERO);
    for number in 0..entries {
        // The last of a thousand waits, so that the queue does not overflow.
        let entry = entry(1 << 40 | number);
        if number % 1_000 == 999 {
            let before = Instant::now();
            log.write_blocking(entry).expect("an entry");
            slowest = slowest.max(before.elapsed());
        } else {
            log.note(entry);
        }
    }
    log.sign_tree_head().expect("a head");
    print_rate("written in groups of 1000", entries, start.elapsed(), disk.0.load(Ordering::Relaxed) - syncs);
    println!("  the longest wait was {slowest:?}");

    let size = log.tree_head().expect("a head").size;
    println!("the log has {size} entries");
    query(&log, "in the open month, with what runs there are", &directory);
    wait_for_index(&directory, ".run-");
    query(&log, "in the open month", &directory);
    clock.0.fetch_add(MONTH, Ordering::Relaxed);
    write(&log, &disk, "written while the index of the month before is made", 1, 100);
    query(&log, "in a month that was just closed", &directory);
    wait_for_index(&directory, ".index");
    query(&log, "in a closed month", &directory);
    let start = Instant::now();
    (0..1_000).for_each(|leaf| drop(log.inclusion(leaf * size / 1_000, size).expect("a proof")));
    println!("inclusion proofs: {} µs each", start.elapsed().as_micros() / 1_000);
    drop(log);

    let start = Instant::now();
    drop(open(&directory, &disk, &clock));
    println!("a start and a stop: {:?}", start.elapsed());
    let (keys, start) = (keys(), Instant::now());
    let options = VerifyOptions {
        directory: audit::directory(&directory),
        public_key: keys.public_key(),
        keys: Some(&keys),
        anchors: vec![audit::default_anchor_file(&directory)],
    };
    let report = audit::verify(&options).expect("a sound log");
    println!("a check of {} entries: {:?}", report.entries[0], start.elapsed());
}
