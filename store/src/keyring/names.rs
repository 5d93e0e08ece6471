//! The names of the keyring's files, and what a crash leaves of a rotation.
//!
//! The new file is written as `keyring.next`. When it is complete and durable, `keyring` is renamed to `keyring.replaced`, and
//! then `keyring.next` to `keyring`. The header of the replaced file is overwritten before the file is removed, so that what
//! is left of it on the disk opens nothing, also if its users are erased later.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{KeyringFile, read_header};
use super::header::HeaderCopy;
use crate::disk::{self, Disk, DiskFile};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "keyring";
pub(crate) const NEW_FILE_NAME: &str = "keyring.new";
const NEXT_FILE_NAME: &str = "keyring.next";
const REPLACED_FILE_NAME: &str = "keyring.replaced";

/// Opens the keyring of a data directory to read it only, also while its file is replaced.
pub(super) fn open_read_only(data_dir: &Path) -> io::Result<Arc<dyn DiskFile>> {
    disk::open_read_only(&data_dir.join(FILE_NAME)).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => disk::open_read_only(&data_dir.join(REPLACED_FILE_NAME)).map_err(|_| error),
        _ => Err(error),
    })
}

/// The directory of the keyring, and the disk that it is on.
#[derive(Clone)]
pub(super) struct KeyringDirectory {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

impl KeyringDirectory {
    pub(super) fn new(disk: &Arc<dyn Disk>, data_dir: &Path) -> Self {
        Self { disk: Arc::clone(disk), path: data_dir.to_owned() }
    }

    /// The keyring in use.
    pub(super) fn current(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// A keyring that is created before there is any.
    pub(super) fn new_file(&self) -> PathBuf {
        self.path.join(NEW_FILE_NAME)
    }

    /// The keyring that a rotation writes.
    pub(super) fn next(&self) -> PathBuf {
        self.path.join(NEXT_FILE_NAME)
    }

    /// The keyring that a rotation has replaced.
    pub(super) fn replaced(&self) -> PathBuf {
        self.path.join(REPLACED_FILE_NAME)
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.directory(&self.path)?.sync()
    }

    /// Gives the keyring its name back if a crash came between the two renames of a rotation.
    pub(super) fn restore_name(&self) -> io::Result<()> {
        if self.current().exists() || !self.replaced().exists() {
            return Ok(());
        }
        self.disk.rename(&self.replaced(), &self.current())?;
        self.sync()
    }

    /// Removes what a rotation has left: a file that it did not complete, and one that it has replaced. Called when the keyring
    /// in use was opened. Returns whether there was any.
    ///
    /// `ring_number` is the number of the ring key in use.
    pub(super) fn remove_leftovers(&self, ring_number: u32) -> io::Result<bool> {
        let next = self.remove_if(&self.next(), |_| true)?;
        let replaced = self.remove_if(&self.replaced(), |number| number < ring_number)?;
        if next || replaced {
            self.sync()?;
        }
        Ok(next || replaced)
    }

    /// Removes a file unless it may be of use: if its ring key has a number, `may_remove` decides.
    fn remove_if(&self, path: &Path, may_remove: impl Fn(u32) -> bool) -> io::Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let file = self.disk.open(path)?;
        let header = read_header(&*file)?;
        if HeaderCopy::find(&header).is_ok_and(|copy| !may_remove(copy.info().ring_number)) {
            tracing::warn!("`{}` is not older than the keyring in use, and was left: move it away", path.display());
            return Ok(false);
        }
        self.remove(path, &*file)?;
        Ok(true)
    }

    /// Overwrites the header of a file and removes it.
    pub(super) fn remove(&self, path: &Path, file: &dyn DiskFile) -> io::Result<()> {
        KeyringFile::wipe_header(file)?;
        self.disk.remove(path)
    }
}
