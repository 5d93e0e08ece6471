//! The first start in a data directory, distinguished from a start with missing data.
//!
//! sled does not open unfinished files, as a crash during its first start leaves them. A marker file is in the data directory
//! from before sled creates its first file until all of them are durable, and the journal is created after that. sled's
//! files are removed only if the marker shows that they were never finished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::OpenError;
use crate::journal;
use crate::keyring::Keyring;
use crate::sled_store;

const MARKER_NAME: &str = "sled.unfinished";

/// Prepares the data directory before sled is opened: removes unfinished files of sled, or creates the marker.
pub(crate) fn prepare(disk: &dyn Disk, data_dir: &Path, keyring: &Keyring) -> Result<(), OpenError> {
    let (marker, sled) = (marker(data_dir), data_dir.join(sled_store::DIRECTORY));
    let has_begun = keyring.has_slots() || data_dir.join(journal::DIRECTORY).exists();
    if marker.exists() {
        if !has_begun && sled.exists() {
            let failed = |source| OpenError::Disk { doing: "remove", path: sled.clone(), source };
            fs::remove_dir_all(&sled).map_err(failed)?;
        }
        return Ok(());
    }
    if sled.exists() {
        return Ok(());
    }
    if has_begun {
        return Err(OpenError::PartMissing { path: sled });
    }
    let make = || {
        disk.create(&marker)?.sync_data()?;
        disk.directory(data_dir)?.sync()
    };
    make().map_err(|source| failed("create", &marker, source))
}

/// Removes the marker once sled's files are durable.
pub(crate) fn finish(disk: &dyn Disk, data_dir: &Path) -> Result<(), OpenError> {
    let marker = marker(data_dir);
    if !marker.exists() {
        return Ok(());
    }
    let remove = || {
        disk.remove(&marker)?;
        disk.directory(data_dir)?.sync()
    };
    remove().map_err(|source| failed("remove", &marker, source))
}

fn marker(data_dir: &Path) -> PathBuf {
    data_dir.join(MARKER_NAME)
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Disk { doing, path: path.to_owned(), source }
}
