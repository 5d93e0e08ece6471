//! A process without a free descriptor works as long as possible, and recovers by itself when there are some again.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};
use store::Store;

use crate::kit::{append_one, close, frames, open, options, record, try_open, wait_for};
use crate::sled_faults::{failing_sled, trigger};

const DIRECTORY: &str = "STORE_TEST_DESCRIPTORS";
const MAX_DESCRIPTORS: u64 = 200;

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

/// Is the process that has no descriptor left, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    setrlimit(Resource::Nofile, Rlimit { current: Some(MAX_DESCRIPTORS), maximum: Some(MAX_DESCRIPTORS) })
        .expect("a limit");
    let mut store = try_open(options(&dir.join("data")), 1).expect("the store opens");
    let mut sequence = 0;
    for is_sled_failing in [false, true] {
        if is_sled_failing {
            std::fs::write(trigger(&dir), "").expect("written");
        }
        let taken = take_all();
        assert!(!taken.is_empty());
        // Twelve of them fill a segment.
        assert!(append_all(&mut store, &mut sequence) > 13, "the next segment was prepared");
        assert!(!store.status.takes_writes() && !store.status.is_ready());
        if is_sled_failing {
            store.closer.checkpoint().expect_err("sled cannot be written to");
            std::fs::remove_file(trigger(&dir)).expect("removed");
            // sled is reopened with the descriptors that were reserved for it.
            wait_for(|| store.closer.checkpoint().is_ok());
        }
        store.closer.checkpoint().expect("a checkpoint");
        assert_eq!(frames(&store, 1).len() as u64, sequence);

        // The store becomes ready with the descriptors, without a write.
        drop(taken);
        wait_for(|| store.status.is_ready());
        sequence += 1;
        append_one(&mut store, 1, sequence, vec![1]);
        store.closer.checkpoint().expect("a checkpoint");
    }
    close(store);
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
