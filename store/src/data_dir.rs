//! The data directory and its lock.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::error::OpenError;
use crate::permissions;

pub(crate) const LOCK_FILE_NAME: &str = "LOCK";
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Creates the data directory if it is missing, and locks it for this process.
pub(crate) fn lock(data_dir: &Path) -> Result<File, OpenError> {
    make_directory(data_dir)?;
    permissions::restrict_directory(data_dir)?;
    let path = data_dir.join(LOCK_FILE_NAME);
    let failed = |source| OpenError::Disk { doing: "lock", path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
    permissions::restrict(&path)?;
    // An earlier process may be about to end, or a child that it forked still has the lock.
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(OpenError::Locked { path: data_dir.to_owned() })
}

/// Creates a directory that only its owner may enter, and its missing parents. Durable when it returns.
pub(crate) fn make_directory(path: &Path) -> Result<(), OpenError> {
    fn make(path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make(parent)?;
        fs::DirBuilder::new().mode(0o700).create(path)?;
        File::open(parent)?.sync_all()
    }
    make(path).map_err(|source| OpenError::Disk { doing: "create the directory", path: path.to_owned(), source })
}
