//! On a full disk, writes are refused, but reads and starts work, and so does everything once there is space again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use domain::port::journal::JournalError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::disk::{Disk, DiskDirectory, DiskFile, RealDisk};
use store::{Store, StoreHealth, StoreOptions};

use crate::kit::{frames, options, record, try_open, wait_for};

const DIRECTORY: &str = "STORE_TEST_FULL_DISK";
/// Users whose records are in sled when the disk fills.
const COLD: usize = 300;
const NO_QUOTA: u64 = 1 << 40;

/// A disk with a quota. The preloaded library enforces it for writes; allocations do not call the C library, so they are
/// checked here.
#[derive(Clone)]
struct QuotaDisk(PathBuf);

impl QuotaDisk {
    fn set(&self, bytes: u64) {
        // Renamed into place, because it is read all the time.
        let new = self.0.join("quota.new");
        fs::write(&new, bytes.to_string()).expect("written");
        fs::rename(new, self.0.join("quota")).expect("renamed");
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Sets the quota to what is in use.
    fn fill(&self) {
        self.set(usage(&self.data()));
    }

    fn options(&self) -> StoreOptions {
        let mut options = options(&self.data());
        options.disk = Arc::new(self.clone());
        options.known_users = 0;
        options.sled_cache_bytes = 1 << 20;
        options
    }

    fn has_space(&self, bytes: u64) -> bool {
        let quota: u64 = fs::read_to_string(self.0.join("quota")).expect("a quota").parse().expect("a number");
        usage(&self.data()) + bytes <= quota
    }
}

fn usage(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let bytes = |path: PathBuf| match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => usage(&path),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    fs::read_dir(directory).expect("a folder").map(|entry| bytes(entry.expect("an entry").path())).sum()
}

impl Disk for QuotaDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(QuotaFile(RealDisk.create(path)?, self.clone())))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(QuotaFile(RealDisk.open(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn directory(&self, path: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        RealDisk.directory(path)
    }
}

struct QuotaFile(Arc<dyn DiskFile>, QuotaDisk);

impl DiskFile for QuotaFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let more = bytes.saturating_sub(self.0.length()?);
        if self.1.has_space(more) { self.0.allocate(bytes) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.truncate(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn written_at(&self) -> io::Result<i64> {
        self.0.written_at()
    }
}

/// Returns a body that sled cannot compress.
fn body(number: usize, sequence: u64) -> Vec<u8> {
    let mut body = vec![0; 3000];
    StdRng::seed_from_u64((number as u64) << 32 | sequence).fill(&mut body[..]);
    body
}

/// How many frames of each user were acknowledged.
struct Acknowledged(Vec<u64>);

impl Acknowledged {
    fn append(&mut self, store: &mut Store, number: usize) -> Result<(), JournalError> {
        let sequence = self.0[number] + 1;
        store.journal.append(&[record(number, sequence, body(number, sequence))])?[0].expect("in sequence");
        self.0[number] = sequence;
        Ok(())
    }

    /// Appends until nothing more is taken.
    fn append_all(&mut self, store: &mut Store) {
        for number in 0.. {
            match self.append(store, number % COLD) {
                Ok(()) => assert!(number < 100_000, "the disk does not fill"),
                Err(JournalError::NotTaken(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(!store.status.takes_writes() && !store.status.is_ready());
        assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
    }

    #[track_caller]
    fn assert_all_readable(&self, store: &Store) {
        for (number, count) in self.0.iter().enumerate() {
            let expected: Vec<_> = (1..=*count).map(|sequence| body(number, sequence)).collect();
            assert!(frames(store, number) == expected, "user {number} has {count} frames");
        }
    }
}

/// Is the process whose disk fills, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(disk) = std::env::var_os(DIRECTORY).map(|directory| QuotaDisk(PathBuf::from(directory))) else { return };
    let mut store = try_open(disk.options(), 1).expect("the store opens");
    let mut acknowledged = Acknowledged(vec![0; COLD]);
    for number in 0..COLD {
        acknowledged.append(&mut store, number).expect("taken");
    }
    store.closer.checkpoint().expect("a checkpoint");

    for round in 0..3 {
        // The journal has some space left, and sled has none.
        disk.fill();
        acknowledged.append_all(&mut store);
        for _ in 0..3 {
            store.closer.checkpoint().expect_err("sled finds no disk space");
            acknowledged.assert_all_readable(&store);
            assert!(matches!(store.status.health(), StoreHealth::Degraded { .. }));
        }
        if round > 0 {
            // A start on the full disk, after a crash.
            drop(store);
            disk.fill();
            store = try_open(disk.options(), 1).unwrap_or_else(|error| panic!("the store opens: {error}"));
            acknowledged.assert_all_readable(&store);
            acknowledged.append_all(&mut store);
            acknowledged.assert_all_readable(&store);
        }
        // The store becomes ready with the disk space, without a write.
        disk.set(NO_QUOTA);
        wait_for(|| store.status.is_ready());
        acknowledged.append(&mut store, 0).expect("taken");
        store.closer.checkpoint().expect("a checkpoint");
        acknowledged.assert_all_readable(&store);
    }
    store.closer.close().expect("closes");
}

#[test]
fn a_full_disk_prevents_neither_reads_nor_starts_and_recovers() {
    // In memory where there is such a place: some file systems count blocks late.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let disk = QuotaDisk(dir.path().to_owned());
    disk.set(NO_QUOTA);
    let library_directory = tempfile::tempdir().expect("a directory");
    let library = library_directory.path().join("full_disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/full_disk.c");
    let gcc = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(gcc.expect("gcc is installed").success(), "the library compiles");
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "full_disk::child", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .env("FULL_DISK_UNDER", disk.data())
        .env("FULL_DISK_QUOTA", dir.path().join("quota"))
        .env("LD_PRELOAD", &library)
        .status();
    assert!(status.expect("a child").success(), "the child ends well");
}
