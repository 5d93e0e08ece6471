//! Repairs around the start-up of sled 0.34.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::OpenError;

const LOCK_ATTEMPTS: usize = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Opens sled after a crash at any moment.
pub(super) fn open_repaired(path: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    let failed = |source| OpenError::Disk { doing: "prepare sled's files in", path: path.to_owned(), source };
    // A crash during its start-up leaves such a file, and every later start-up would report corruption.
    for leftover in snapshots(path).map_err(failed)?.iter().filter(|name| has_extension(name, "generating")) {
        tracing::warn!("removing sled's unfinished snapshot `{}`", leftover.display());
        fs::remove_file(leftover).map_err(failed)?;
    }
    match open(path, cache_bytes) {
        // A snapshot only shortens the start-up: without one, sled rebuilds from its log.
        Err(sled::Error::Corruption { .. }) if !snapshots(path).map_err(failed)?.is_empty() => {
            for snapshot in snapshots(path).map_err(failed)? {
                let aside = snapshot.with_file_name(format!("damaged-{}", name(&snapshot)));
                tracing::warn!("sled cannot use its snapshot `{}`: rebuilding from its log", snapshot.display());
                fs::rename(&snapshot, &aside).map_err(failed)?;
            }
            open(path, cache_bytes)
        }
        other => other,
    }
    .map_err(|source| OpenError::Sled { doing: "open its files", source })
}

/// Syncs sled's settings and directories, which sled never does: its files could be lost in a power cut.
pub(super) fn sync_names(data_dir: &Path, path: &Path) -> io::Result<()> {
    for made in [path.join("conf"), path.join("blobs"), path.to_owned(), data_dir.to_owned()] {
        if made.exists() {
            File::open(made)?.sync_all()?;
        }
    }
    Ok(())
}

fn open(path: &Path, cache_bytes: u64) -> sled::Result<sled::Db> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(cache_bytes)
        .mode(sled::Mode::HighThroughput)
        // Checkpoints flush.
        .flush_every_ms(None);
    let mut attempts = 0;
    loop {
        match config.open() {
            // The data directory is locked for this process, so a thread of a store that was just closed still has it.
            Err(sled::Error::Io(error)) if is_locked(&error) && attempts < LOCK_ATTEMPTS => attempts += 1,
            other => return other,
        }
        thread::sleep(LOCK_PAUSE);
    }
}

/// Returns whether the cause is sled's file lock. sled wraps the error of the lock in a text, so the text has to be
/// compared.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing?,
    };
    let files = listing.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|file| name(file).starts_with("snap.")).collect())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}
