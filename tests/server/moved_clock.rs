//! A server whose clock of elapsed time the test moves, with `moved_clock.c`, which is compiled here and loaded into it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::preload;
use crate::test_server::{TestServer, start_on_under};

/// The clock of elapsed time of a server.
pub(crate) struct MovedClock {
    file: File,
    seconds: AtomicU64,
    _dir: TempDir,
}

impl MovedClock {
    /// Starts a server on a data directory whose clock this is.
    pub(crate) fn start(data_dir: TempDir) -> (Self, TestServer) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("clock");
        let file = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
        let clock = Self { file, seconds: AtomicU64::new(0), _dir: dir };
        clock.advance(0);
        let variables = format!("export LD_PRELOAD={} MOVED_CLOCK={}", library().display(), path.display());
        (clock, start_on_under(&variables, data_dir))
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, seconds: u64) {
        let seconds = self.seconds.fetch_add(seconds, Ordering::Relaxed) + seconds;
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::compile("moved_clock"))
}
