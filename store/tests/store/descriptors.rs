//! A process without a free descriptor goes on as long as it can, and by itself when there are some again.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use store::Store;

use crate::kit::{frames, open, options, record, try_open};
use crate::sled_faults::{failing_sled, trigger};

const DIRECTORY: &str = "STORE_TEST_DESCRIPTORS";
const MOST: u64 = 200;

/// Takes all descriptors that are left.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Appends to user 1 until nothing more is taken.
fn append_all(store: &mut Store, sequence: &mut u64) -> u64 {
    let before = *sequence;
    while let Ok(results) = store.journal.append(&[record(1, *sequence + 1, vec![1; 20_000])]) {
        results[0].expect("in sequence");
        *sequence += 1;
        assert!(*sequence < before + 1000, "descriptors do not run out");
    }
    *sequence - before
}

/// Not a test by itself: the process that has no descriptor left.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    setrlimit(Resource::Nofile, Rlimit { current: Some(MOST), maximum: Some(MOST) }).expect("a limit");
    let mut store = try_open(options(&dir.join("data")), 1).expect("the store opens");
    let mut sequence = 0;
    for is_sled_failing in [false, true] {
        if is_sled_failing {
            std::fs::write(trigger(&dir), "").expect("written");
        }
        let taken = take_all();
        assert!(!taken.is_empty());
        // Twelve of them fill a segment.
        assert!(append_all(&mut store, &mut sequence) > 13, "the next segment was there already");
        assert!(!store.status.takes_writes() && !store.status.is_ready());
        if is_sled_failing {
            store.closer.checkpoint().expect_err("sled cannot be written to");
            std::fs::remove_file(trigger(&dir)).expect("removed");
            // sled is opened anew with the descriptors that were kept for it.
            let start = Instant::now();
            while let Err(error) = store.closer.checkpoint() {
                assert!(start.elapsed() < Duration::from_secs(60), "{error}: {:?}", store.status.health());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        store.closer.checkpoint().expect("a checkpoint");
        assert_eq!(frames(&store, 1).len() as u64, sequence);

        // Nobody writes, and readiness comes back with the descriptors.
        drop(taken);
        let start = Instant::now();
        while !store.status.is_ready() {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", store.status.health());
            std::thread::sleep(Duration::from_millis(10));
        }
        sequence += 1;
        store.journal.append(&[record(1, sequence, vec![1])]).expect("taken")[0].expect("in sequence");
        store.closer.checkpoint().expect("a checkpoint");
    }
    store.closer.close().expect("closes");
    drop((store.journal, store.reader, store.log, store.dead_letters));
    assert_eq!(frames(&open(&dir.join("data")), 1).len() as u64, sequence);
}

#[test]
fn a_process_without_descriptors_reads_and_checkpoints_and_recovers() {
    let dir = tempfile::tempdir().expect("a directory");
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "descriptors::child", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .env("FAIL_WHEN", trigger(dir.path()))
        .env("LD_PRELOAD", failing_sled(dir.path()))
        .status();
    assert!(status.expect("a child").success(), "the child ends well");
}
