//! Commands for `failing_disk.c`, which is compiled here and loaded into the server.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::Harness;

const WORK: u8 = 0;
const FAIL: u8 = 1;
const FAIL_ONCE: u8 = 2;

const WRITES_AT: u64 = 0;
const SYNCS_AT: u64 = 1;
const FAILED_WRITES_AT: u64 = 8;
const FAILED_SYNCS_AT: u64 = 16;
const CALLS_AT: u64 = 24;
const FILE_AT: u64 = 32;
const FILE_BYTES: usize = 32;
const COMMANDS_BYTES: usize = 64;

/// A disk under a server's data that fails on command.
pub(crate) struct Disk(File);

impl Disk {
    /// Makes the servers of `harness` write to such a disk.
    pub(crate) fn under(harness: Harness) -> (Self, Harness) {
        let path = harness.beside("commands");
        let file = File::options().create_new(true).read(true).write(true).open(&path).expect("the commands");
        file.write_all_at(&[WORK; COMMANDS_BYTES], 0).expect("the commands");
        let harness = harness.with_variable("LD_PRELOAD", library().display());
        let harness = harness.with_variable("FAILING_DISK_COMMANDS", path.display());
        let data_dir = harness.data_dir().display().to_string();
        (Self(file), harness.with_variable("FAILING_DISK_UNDER", data_dir))
    }

    /// Makes every write fail from now on, as on a full disk.
    pub(crate) fn fill(&self) {
        self.command(WRITES_AT, FAIL);
    }

    /// Makes the next sync fail.
    pub(crate) fn fail_one_sync(&self) {
        self.command(SYNCS_AT, FAIL_ONCE);
    }

    /// Makes every sync fail from now on.
    pub(crate) fn fail_syncs(&self) {
        self.command(SYNCS_AT, FAIL);
    }

    /// Kills the server at its write or sync of this number from now on, counted from 1. Half of a write is done. With 0 it is
    /// not killed.
    pub(crate) fn kill_at(&self, call: u64) {
        self.kill_at_file("", call);
    }

    /// Kills the server as [`Self::kill_at`] does, at a write or sync of a file whose path has a text. A `$` in the text stands
    /// for the end of the path.
    pub(crate) fn kill_at_file(&self, text: &str, call: u64) {
        let mut file = [0; FILE_BYTES];
        // The text ends with a zero.
        file[..FILE_BYTES - 1][..text.len()].copy_from_slice(text.as_bytes());
        self.0.write_all_at(&0_u64.to_ne_bytes(), CALLS_AT).expect("the commands");
        self.0.write_all_at(&file, FILE_AT).expect("the commands");
        self.0.write_all_at(&call.to_ne_bytes(), CALLS_AT).expect("the commands");
    }

    /// Makes writes and syncs work again.
    pub(crate) fn repair(&self) {
        self.command(WRITES_AT, WORK);
        self.command(SYNCS_AT, WORK);
    }

    /// Returns the number of writes that failed.
    pub(crate) fn failed_writes(&self) -> u64 {
        self.count(FAILED_WRITES_AT)
    }

    /// Returns the number of syncs that failed.
    pub(crate) fn failed_syncs(&self) -> u64 {
        self.count(FAILED_SYNCS_AT)
    }

    fn command(&self, at: u64, command: u8) {
        self.0.write_all_at(&[command], at).expect("the commands");
    }

    fn count(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, at).expect("the commands");
        u64::from_ne_bytes(bytes)
    }
}

/// Compiles the library and returns its path. `make test` needs a C compiler anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/failing_disk.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failing_disk.so");
        // Compiled under a unique name first, because another run may have loaded the old file.
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
