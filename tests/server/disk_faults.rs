//! A server whose disk hangs or fails when the test says so, by `disk_faults.c`, which is loaded into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::preload;
use crate::test_server::{TestServer, start_on_under};

/// The faults of the disk of a server.
pub(crate) struct DiskFaults {
    dir: TempDir,
}

impl DiskFaults {
    /// Starts a server on a data directory with some settings.
    pub(crate) fn start(settings: &str) -> (Self, TestServer) {
        let (faults, data_dir) = (Self { dir: TempDir::new().unwrap() }, TempDir::new().unwrap());
        fs::write(data_dir.path().join("config.local.toml"), settings).unwrap();
        let orders = faults.orders();
        let variables = format!("export LD_PRELOAD={} DISK_FAULTS={}", library().display(), orders.display());
        (faults, start_on_under(&variables, data_dir))
    }

    /// Holds up the syncs of files whose path has this text.
    pub(crate) fn hold(&self, text: &str) {
        self.order(&format!("h{text}"));
    }

    /// Lets the syncs of files whose path has this text fail.
    pub(crate) fn fail(&self, text: &str) {
        self.order(&format!("f{text}"));
    }

    /// Ends all faults.
    pub(crate) fn end(&self) {
        self.order("");
    }

    fn orders(&self) -> PathBuf {
        self.dir.path().join("orders")
    }

    fn order(&self, text: &str) {
        // Renamed, so that the server never sees a part of it.
        let new = self.dir.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.orders()).unwrap();
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::compile("disk_faults"))
}
