//! Copies of what cannot be opened without being changed. On file systems that can, copies share their space.

use std::fs;
use std::io;
use std::path::Path;

use super::report::{InspectError, StoreFault};

/// Copies a directory and everything in it.
pub(super) fn copy_directory(from: &Path, to: &Path) -> Result<(), InspectError> {
    fs::create_dir(to).map_err(|source| InspectError::disk("create", to, source))?;
    let failed = |source| InspectError::disk("read", from, source);
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(failed)?.is_dir() {
            copy_directory(&from, &to)?;
        } else {
            copy_file(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies a file. Returns whether there was one.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<bool, InspectError> {
    match fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        copied => copied.map(|_| true).map_err(|source| InspectError::disk("copy", from, source)),
    }
}

/// Checks that sled keeps no value in a file of its own, which it would never sync.
pub(super) fn check_no_blobs(sled: &Path) -> Result<(), StoreFault> {
    let blobs = sled.join("blobs");
    let entries = match fs::read_dir(&blobs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| StoreFault::new("sled", format!("`blobs` cannot be read: {error}")))?,
    };
    match entries.count() {
        0 => Ok(()),
        count => Err(StoreFault::new("sled", format!("`blobs` has {count} files, which sled never syncs"))),
    }
}
