//! The data directory that is restored. A marker file is in it until everything is durable: a server does not start on a
//! directory with a marker, and the next restore removes what an interrupted one has left.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunk::FilePart;
use super::error::{BackupFault, RestoreError};
use super::files::{OPERATOR_FILES, REGISTRY_NAME, is_known_name};
use crate::audit;
use crate::data_dir::{LOCK_FILE_NAME, lock, make_directory};
use crate::disk::{Disk, DiskFile, WriteFailed, write_all_at};
use crate::error::OpenError;
use crate::{journal, keyring, sled_store};

/// The name of the marker. Its lines are the names that were in the directory before.
pub(crate) const MARKER_NAME: &str = "restore.unfinished";
const NEW_MARKER_NAME: &str = "restore.unfinished.new";

/// A data directory that is being restored. Dropped before [`Self::finish`], it is emptied again.
pub(super) struct RestoreTarget {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// What was there before.
    kept: HashSet<String>,
    /// The file that is being written, and its length so far.
    open: Option<(String, Arc<dyn DiskFile>, u64)>,
    written: HashSet<String>,
    is_finished: bool,
    _lock: File,
}

impl RestoreTarget {
    /// Creates or locks the directory, removes what an interrupted restore has left, and checks that nothing else is there
    /// but a keyring, secrets and files of the operator.
    pub(super) fn begin(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, RestoreError> {
        let lock = lock(path)?;
        let failed = |source| RestoreError::Disk { doing: "read the directory", path: path.to_owned(), source };
        let kept = match read_marker(path).map_err(failed)? {
            Some(kept) => kept,
            None => {
                let names = names(path).map_err(failed)?;
                if let Some(name) = names.iter().find(|name| !may_be_there(name)) {
                    return Err(RestoreError::NotEmpty { path: path.to_owned(), name: name.clone() });
                }
                names.into_iter().collect()
            }
        };
        let (open, written) = (None, HashSet::new());
        let target = Self { disk, path: path.to_owned(), kept, open, written, is_finished: false, _lock: lock };
        target.write_marker()?;
        target.remove_written().map_err(failed)?;
        Ok(target)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether a file was there before.
    pub(super) fn had(&self, name: &str) -> bool {
        self.kept.contains(name)
    }

    fn write_marker(&self) -> Result<(), RestoreError> {
        let (new, path) = (self.path.join(NEW_MARKER_NAME), self.path.join(MARKER_NAME));
        let write = || {
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            self.kept.iter().try_for_each(|name| writeln!(file, "{name}"))?;
            file.sync_all()?;
            self.disk.rename(&new, &path)?;
            self.disk.directory(&self.path)?.sync()
        };
        write().map_err(|source| RestoreError::Disk { doing: "write", path: path.clone(), source })
    }

    /// Writes a part of a file of the backup. Files of the operator that were there before stay as they are.
    pub(super) fn write_part(&mut self, part: &FilePart, chunk: u64) -> Result<(), RestoreError> {
        let FilePart { name, offset, bytes } = part;
        if !is_known_name(name) {
            return Err(BackupFault::damaged(chunk, "it has a file of an unknown name").into());
        }
        if self.had(name) {
            return Ok(());
        }
        if self.open.as_ref().is_none_or(|(open, _, _)| open != name) {
            self.close_file()?;
            if *offset != 0 || !self.written.insert(name.clone()) {
                return Err(BackupFault::damaged(chunk, "it is not the part of a file that follows").into());
            }
            let path = self.path.join(name);
            if let Some(directory) = path.parent().filter(|directory| *directory != self.path) {
                make_directory(directory)?;
            }
            let created = self.disk.create(&path);
            let file = created.map_err(|source| RestoreError::Disk { doing: "create", path, source })?;
            self.open = Some((name.clone(), file, 0));
        }
        let Some((_, file, length)) = &mut self.open else { return Ok(()) };
        if *length != *offset {
            return Err(BackupFault::damaged(chunk, "it is not the part of a file that follows").into());
        }
        let written = write_all_at(&**file, bytes, *offset);
        let path = self.path.join(name);
        written.map_err(|WriteFailed { source, .. }| RestoreError::Disk { doing: "write", path, source })?;
        *length += bytes.len() as u64;
        Ok(())
    }

    /// Makes the last file durable.
    pub(super) fn close_file(&mut self) -> Result<(), RestoreError> {
        let Some((name, file, _)) = self.open.take() else { return Ok(()) };
        let path = self.path.join(name);
        file.sync_data().map_err(|source| RestoreError::Disk { doing: "write", path, source })
    }

    /// Returns whether a file was in the backup.
    pub(super) fn has_file(&self, name: &str) -> bool {
        self.written.contains(name)
    }

    /// Makes all names durable and removes the marker: from here on, the directory is that of a server.
    pub(super) fn finish(mut self) -> Result<(), RestoreError> {
        let marker = self.path.join(MARKER_NAME);
        let finish = || {
            for directory in [self.path.join(audit::DIRECTORY), self.path.join(journal::DIRECTORY)] {
                if directory.is_dir() {
                    self.disk.directory(&directory)?.sync()?;
                }
            }
            let directory = self.disk.directory(&self.path)?;
            directory.sync()?;
            self.disk.remove(&marker)?;
            directory.sync()
        };
        finish().map_err(|source| RestoreError::Disk {
            doing: "complete the restore in",
            path: marker.clone(),
            source,
        })?;
        self.is_finished = true;
        Ok(())
    }

    /// Removes everything that a restore writes, but nothing that was there before.
    fn remove_written(&self) -> io::Result<()> {
        for name in names(&self.path)?.into_iter().filter(|name| !self.kept.contains(name) && is_written(name)) {
            let path = self.path.join(name);
            if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
        }
        Ok(())
    }
}

impl Drop for RestoreTarget {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        self.open = None;
        let remove = || {
            self.remove_written()?;
            let directory = self.disk.directory(&self.path)?;
            directory.sync()?;
            self.disk.remove(&self.path.join(MARKER_NAME))?;
            directory.sync()
        };
        if let Err(error) = remove() {
            tracing::warn!(
                "what a restore has left could not be removed, and the next restore will try again: {error}"
            );
        }
    }
}

/// Refuses a data directory whose restore was not finished.
pub(crate) fn check_finished(data_dir: &Path) -> Result<(), OpenError> {
    let path = data_dir.join(MARKER_NAME);
    if path.exists() { Err(OpenError::RestoreUnfinished { path }) } else { Ok(()) }
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if ![LOCK_FILE_NAME, MARKER_NAME, NEW_MARKER_NAME].contains(&&*name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_marker(path: &Path) -> io::Result<Option<HashSet<String>>> {
    match fs::read_to_string(path.join(MARKER_NAME)) {
        Ok(text) => Ok(Some(text.lines().map(str::to_owned).collect())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether a file may be in a directory that is restored.
fn may_be_there(name: &str) -> bool {
    name == keyring::FILE_NAME || name == ".env" || name == "lost+found" || OPERATOR_FILES.contains(&name)
}

/// Returns whether a restore writes a file or directory of this name, by itself or by opening what it has written.
fn is_written(name: &str) -> bool {
    let names = [
        sled_store::DIRECTORY,
        journal::DIRECTORY,
        audit::DIRECTORY,
        REGISTRY_NAME,
        keyring::FILE_NAME,
        keyring::NEW_FILE_NAME,
        "reserve",
    ];
    names.contains(&name) || is_known_name(name)
}
