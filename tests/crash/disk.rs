//! The orders for `failing_disk.c`, which is compiled here and loaded into the server.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::Place;

const SOUND: u8 = 0;
const FAIL: u8 = 1;
const FAIL_ONCE: u8 = 2;

const WRITES_AT: u64 = 0;
const SYNCS_AT: u64 = 1;
const FAILED_WRITES_AT: u64 = 8;
const FAILED_SYNCS_AT: u64 = 16;
const ORDERS_BYTES: usize = 24;

/// A disk under a server's data that fails on command.
pub(crate) struct Disk(File);

impl Disk {
    /// Puts the data of `place` on one, for as long as its servers run.
    pub(crate) fn under(place: Place) -> (Self, Place) {
        let path = place.beside("orders");
        let file = File::options().create_new(true).read(true).write(true).open(&path).expect("the orders");
        file.write_all_at(&[SOUND; ORDERS_BYTES], 0).expect("the orders");
        let place = place.with_variable("LD_PRELOAD", library().display());
        let place = place.with_variable("FAILING_DISK_ORDERS", path.display());
        let data_dir = place.data_dir().display().to_string();
        (Self(file), place.with_variable("FAILING_DISK_UNDER", data_dir))
    }

    /// No write finds room from now on.
    pub(crate) fn fill(&self) {
        self.order(WRITES_AT, FAIL);
    }

    /// The next sync fails.
    pub(crate) fn fail_one_sync(&self) {
        self.order(SYNCS_AT, FAIL_ONCE);
    }

    /// No sync works from now on.
    pub(crate) fn fail_syncs(&self) {
        self.order(SYNCS_AT, FAIL);
    }

    /// All works again.
    pub(crate) fn mend(&self) {
        self.order(WRITES_AT, SOUND);
        self.order(SYNCS_AT, SOUND);
    }

    /// How many writes found no room.
    pub(crate) fn failed_writes(&self) -> u64 {
        self.count(FAILED_WRITES_AT)
    }

    /// How many syncs failed.
    pub(crate) fn failed_syncs(&self) -> u64 {
        self.count(FAILED_SYNCS_AT)
    }

    fn order(&self, at: u64, order: u8) {
        self.0.write_all_at(&[order], at).expect("the orders");
    }

    fn count(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).expect("the orders");
        u64::from_ne_bytes(bytes)
    }
}

/// The compiled library. `make test` needs a C compiler anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/failing_disk.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failing_disk.so");
        // Under a name of its own first: another run may have the last one loaded.
        let new = library.with_extension(format!("{}.so", std::process::id()));
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&new, &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler, `cc`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(&new, &library).expect("the library");
        library
    })
}
