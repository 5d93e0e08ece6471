//! The registry: a small durable map of what belongs to no profile, all of it in memory.
//!
//! It is a file of its own, because sled's flush promises too little for a revocation, and the journal's segments are removed
//! after a checkpoint.

mod change;
mod file;
mod record;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::port::clock::Entropy;
use domain::port::registry::{ListedEntry, Registry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::{Mutex, RwLock};

use crate::disk::Disk;
use crate::error::OpenError;
use crate::permissions;
use crate::system_keys::SystemKeys;
use change::{Change, EntryKey};
use file::{RegistryFile, RegistryFiles};
use table::Table;

/// The registry of an open store.
pub(crate) struct DurableRegistry {
    files: RegistryFiles,
    /// Locked by writers for as long as a change takes. `None` means that the file must be replaced before the next change.
    writer: Mutex<Option<RegistryFile>>,
    /// The durable entries. Locked for a moment only, never during a write to the disk.
    table: RwLock<Table>,
    /// Maximum number of bytes of the entries of each kind.
    max_kind_bytes: usize,
}

impl DurableRegistry {
    /// Opens the registry in a data directory, or creates an empty one if `is_new`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        is_new: bool,
        keys: SystemKeys,
        entropy: Arc<dyn Entropy>,
        max_kind_bytes: usize,
    ) -> Result<Self, OpenError> {
        let path = file::path(data_dir);
        let failed = |doing| {
            let path = path.clone();
            move |source| OpenError::Disk { doing, path, source }
        };
        let files = RegistryFiles::new(disk, data_dir, keys, entropy).map_err(failed("open the directory of"))?;
        if !path.exists() {
            if !is_new {
                return Err(OpenError::PartMissing { path });
            }
            files.replace(std::iter::empty()).map_err(failed("create"))?;
        }
        permissions::restrict(&path)?;
        let (mut table, mut holds_removed_job) = (Table::default(), false);
        let mut file = files.open(|change| holds_removed_job |= table.apply(change))?;
        if file.is_none() {
            tracing::warn!("the last change of the registry was not finished when the server stopped; it is dropped");
        }
        if let Some(file) = &mut file {
            file.holds_removed_job = holds_removed_job;
        }
        Ok(Self { files, writer: Mutex::new(file), table: RwLock::new(table), max_kind_bytes })
    }

    /// Removes the entries that have expired at the time `now` from memory. They leave the file when it is next replaced.
    pub(crate) fn sweep(&self, now: i64) {
        // A writer that has checked the bound must not find other entries when it applies its change.
        let _writer = self.writer.lock();
        self.table.write().sweep(now);
    }

    /// Replaces the file if it holds the job of an erasure that was removed: it names a person. If no new file can be prepared,
    /// for lack of space for example, the old one stays, with the space that it has for a revocation.
    pub(crate) fn forget_removed_jobs(&self) {
        let mut writer = self.writer.lock();
        if !writer.as_ref().is_some_and(|file| file.holds_removed_job) {
            return;
        }
        let entries: Vec<Change> = self.table.read().changes().collect();
        let replaced = self.files.prepare(entries.into_iter()).and_then(|new| {
            // If this fails, either file may have the name, so neither is written again.
            *writer = None;
            *writer = Some(self.files.take_place(new)?);
            Ok(())
        });
        if let Err(error) = replaced {
            tracing::warn!(
                "the registry's file could not be replaced ({error}), and still holds the end of an erasure"
            );
        }
    }

    /// Returns the content of the file, for a backup.
    pub(crate) fn copy(&self) -> io::Result<Vec<u8>> {
        let mut writer = self.writer.lock();
        let file = match writer.take() {
            Some(file) => file,
            None => {
                let entries: Vec<Change> = self.table.read().changes().collect();
                self.files.replace(entries.into_iter())?
            }
        };
        writer.insert(file).read()
    }

    /// Makes a change durable, then visible. The caller holds the lock of `writer`.
    fn write(&self, writer: &mut Option<RegistryFile>, change: Change) -> Result<(), RegistryError> {
        let is_durable = match writer.as_mut().map(|file| file.append(&change, self.files.entropy())) {
            Some(Ok(is_durable)) => is_durable,
            Some(Err(error)) => {
                tracing::warn!("the registry's file could not be written ({error}), and is replaced");
                false
            }
            None => false,
        };
        if !is_durable {
            // A file whose write or sync has failed is not written again: what it holds is unknown.
            *writer = None;
            *writer = Some(self.replace_with(&change).map_err(unavailable)?);
        }
        let removed_job = self.table.write().apply(change);
        if let Some(file) = writer {
            // A new file has nothing that was removed.
            file.holds_removed_job |= removed_job && is_durable;
        }
        Ok(())
    }

    /// Replaces the file by one that holds all entries and a change to them.
    fn replace_with(&self, change: &Change) -> io::Result<RegistryFile> {
        let entries: Vec<Change> = self.table.read().changes().collect();
        let others = entries.into_iter().filter(|other| other.key != change.key);
        let changed = change.entry.is_some().then(|| change.clone());
        self.files.replace(others.chain(changed))
    }
}

impl Registry for DurableRegistry {
    fn get(&self, kind: RegistryKind, key: &[u8], now: i64) -> Option<Arc<RegistryEntry>> {
        let key = entry_key(kind, key);
        self.table.read().get(&key).filter(|entry| !entry.has_expired(now)).cloned()
    }

    fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry> {
        self.table.read().list(kind, now)
    }

    fn put(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry) -> Result<(), RegistryError> {
        let mut writer = self.writer.lock();
        let key = entry_key(kind, key);
        self.table.read().check(&key, &entry, self.max_kind_bytes)?;
        self.write(&mut writer, Change { key, entry: Some(Arc::new(entry)) })
    }

    fn put_new(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry, now: i64) -> Result<bool, RegistryError> {
        let mut writer = self.writer.lock();
        let key = entry_key(kind, key);
        {
            let table = self.table.read();
            if table.get(&key).is_some_and(|entry| !entry.has_expired(now)) {
                return Ok(false);
            }
            table.check(&key, &entry, self.max_kind_bytes)?;
        }
        self.write(&mut writer, Change { key, entry: Some(Arc::new(entry)) })?;
        Ok(true)
    }

    fn remove(&self, kind: RegistryKind, key: &[u8]) -> Result<Option<Arc<RegistryEntry>>, RegistryError> {
        let mut writer = self.writer.lock();
        let key = entry_key(kind, key);
        let Some(removed) = self.table.read().get(&key).cloned() else { return Ok(None) };
        self.write(&mut writer, Change { key, entry: None })?;
        Ok(Some(removed))
    }
}

fn entry_key(kind: RegistryKind, key: &[u8]) -> EntryKey {
    (kind, key.to_vec())
}

fn unavailable(source: io::Error) -> RegistryError {
    RegistryError::Unavailable { source: source.into() }
}
