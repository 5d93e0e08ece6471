//! sled fails behind the journal: writes continue, the health shows it, and sled is reopened when it works again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use store::{Store, StoreHealth};

use crate::kit::{append_one, frames, open, options, try_open};

const DIRECTORY: &str = "STORE_TEST_SLED_DIRECTORY";

/// Returns the path of the trigger: while this file exists, writes to sled's log fail.
pub(crate) fn trigger(dir: &Path) -> PathBuf {
    dir.join("fail")
}

/// Compiles the library that makes these writes fail.
pub(crate) fn failing_sled(dir: &Path) -> PathBuf {
    let library = dir.join("failing_sled.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/failing_sled.c");
    let gcc = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(gcc.expect("gcc is installed").success(), "the library compiles");
    library
}

/// Is the process whose writes to sled fail while the trigger exists, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let mut options = options(&dir.join("data"));
    options.checkpoint_interval = Duration::from_millis(20);
    let mut store = try_open(options, 1).expect("the store opens");
    let mut sequence = 0;
    let mut append_until = |store: &mut Store, wanted: fn(&StoreHealth) -> bool| {
        let start = Instant::now();
        while !wanted(&store.status.health()) {
            assert!(start.elapsed() < Duration::from_secs(60), "health is {:?}", store.status.health());
            sequence += 1;
            append_one(store, 1, sequence, vec![7; 100]);
            // Lets the checkpoint thread run, too.
            std::thread::yield_now();
        }
        sequence
    };
    for _ in 0..2 {
        std::fs::write(trigger(&dir), "").expect("written");
        append_until(&mut store, |health| matches!(health, StoreHealth::Degraded { .. }));
        std::fs::remove_file(trigger(&dir)).expect("removed");
        let appended = append_until(&mut store, |health| *health == StoreHealth::Ok);
        assert_eq!(frames(&store, 1).len() as u64, appended);
    }
    store.closer.close().expect("closes");
}

#[test]
fn an_io_error_of_sled_delays_checkpoints_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let library = failing_sled(dir.path());
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "sled_faults::child", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .env("FAIL_WHEN", trigger(dir.path()))
        .env("LD_PRELOAD", &library)
        .status();
    assert!(status.expect("a child").success(), "the child ends well");
    assert!(!frames(&open(&dir.path().join("data")), 1).is_empty());
}
