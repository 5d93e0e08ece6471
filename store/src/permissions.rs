//! Restricts the files of the store to their owner, regardless of the umask under which they were created.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::OpenError;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// The mode bit of directories that many users share, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Removes the rights of group and others to `path` and everything below it. Links are not followed.
pub(crate) fn restrict(path: &Path) -> Result<(), OpenError> {
    walk(path).map_err(|source| OpenError::Disk { doing: "set the permissions of", path: path.to_owned(), source })
}

/// Removes the rights of group and others to a directory, but not to its content. A directory that users share stays
/// shared.
pub(crate) fn restrict_directory(path: &Path) -> Result<(), OpenError> {
    let restrict = || {
        let metadata = fs::metadata(path)?;
        if metadata.permissions().mode() & STICKY != 0 {
            tracing::warn!("`{}` is a directory that others share: choose one for the server alone", path.display());
            return Ok(());
        }
        set(path, &metadata, DIRECTORY_MODE)
    };
    restrict().map_err(|source| OpenError::Disk { doing: "set the permissions of", path: path.to_owned(), source })
}

fn walk(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        // sled removes some of its files while it runs.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if metadata.is_dir() {
        set(path, &metadata, DIRECTORY_MODE)?;
        for entry in fs::read_dir(path)? {
            walk(&entry?.path())?;
        }
    } else if metadata.is_file() {
        set(path, &metadata, FILE_MODE)?;
    }
    Ok(())
}

fn set(path: &Path, metadata: &Metadata, mode: u32) -> io::Result<()> {
    if metadata.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        // The file system has no modes, or the directory belongs to another user.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            tracing::warn!("the permissions of `{}` could not be restricted: {error}", path.display());
            Ok(())
        }
        other => other,
    }
}
