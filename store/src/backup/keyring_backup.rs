//! Backups of the keyring, which are files of their own: they are kept for a shorter time than backups of the data, because an
//! erased user's data can be decrypted for as long as there is one from before the erasure.

use std::path::PathBuf;
use std::sync::Arc;

use domain::port::clock::Entropy;
use domain::port::keyring_backup::KeyringBackups;
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};

use super::error::{BackupError, RestoreError};
use super::given_keyring::{GivenKeyring, replace_file};
use super::log_choice::known_erasures;
use super::source::Backups;
use super::target::check_finished;
use crate::data_dir::lock;
use crate::error::OpenError;
use crate::inspect::last_slot;
use crate::keyring::{self, Keyring, KeyringCopy, KeyringMac, KeyringTrailer, reserve_slots};
use crate::options::{MasterKey, StoreOptions};
use crate::registry::DurableRegistry;
use crate::sled_store::SledStore;

/// The key of the registry's entry that says until when the last backup may be kept.
const KEEP_UNTIL_KEY: &[u8] = b"keep until";

/// A backup of the keyring that is being made. It is read piece by piece.
pub struct KeyringBackup {
    copy: KeyringCopy,
    mac: Option<KeyringMac>,
    trailer: KeyringTrailer,
}

impl KeyringBackup {
    /// Returns the number of bytes of the backup.
    pub fn bytes(&self) -> u64 {
        self.trailer.length + keyring::TRAILER_BYTES as u64
    }

    /// Returns the next bytes; `None` at the end. Blocks for the disk.
    ///
    /// # Errors
    /// The keyring could not be read. What was read so far is of no use.
    pub fn next_bytes(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let failed = |source| BackupError::File { name: keyring::FILE_NAME.to_owned(), source };
        let Some(mut mac) = self.mac.take() else { return Ok(None) };
        match self.copy.next().map_err(failed)? {
            Some(piece) => {
                mac.update(&piece);
                self.mac = Some(mac);
                Ok(Some(piece))
            }
            None => Ok(Some(mac.trailer(&self.trailer).to_vec())),
        }
    }
}

impl Backups {
    /// Begins a backup of the keyring at the time `now`, which may be kept until `keep_until`, both in microseconds since the
    /// Unix epoch. The end of the retention is durable in the registry before anything is copied, so that the receipt of
    /// every later erasure states it.
    ///
    /// # Errors
    /// The registry could not be written, or the keyring not be read.
    pub fn back_up_keyring(&self, now: i64, keep_until: i64) -> Result<KeyringBackup, BackupError> {
        let _one_at_a_time = self.keyring_backups.lock();
        let stored = note_keep_until(&self.registry, keep_until);
        stored.map_err(|error| BackupError::Ended(format!("its retention could not be stored: {error}")))?;
        let failed = |source| BackupError::File { name: keyring::FILE_NAME.to_owned(), source };
        let copy = self.engine.keyring.begin_copy().map_err(failed)?;
        let trailer = KeyringTrailer { time: now, keep_until, length: copy.bytes() };
        Ok(KeyringBackup { copy, mac: Some(KeyringMac::new(&self.engine.keyring.system_keys())), trailer })
    }
}

impl KeyringBackups for Backups {
    fn kept_until(&self) -> Option<i64> {
        known_keep_until(&self.registry)
    }
}

/// Returns until when backups of the keyring may be kept. An entry that has expired is removed some time later, and says that
/// there is none any more.
fn known_keep_until(registry: &DurableRegistry) -> Option<i64> {
    let entry = registry.get(RegistryKind::KEYRING_BACKUP, KEEP_UNTIL_KEY, i64::MIN)?;
    entry.value.first_chunk().map(|until| i64::from_le_bytes(*until))
}

/// Notes until when a backup of the keyring may be kept, unless another one may be kept longer. Durable when it returns.
pub(super) fn note_keep_until(registry: &DurableRegistry, keep_until: i64) -> Result<(), RegistryError> {
    if known_keep_until(registry).is_some_and(|known| known >= keep_until) {
        return Ok(());
    }
    let entry = RegistryEntry { value: keep_until.to_le_bytes().to_vec(), expires_at: Some(keep_until) };
    registry.put(RegistryKind::KEYRING_BACKUP, KEEP_UNTIL_KEY, entry)
}

/// How a keyring is put back into a data directory that has lost it.
pub struct KeyringRestore {
    /// The options of the store.
    pub store: StoreOptions,
    /// The backup.
    pub from: PathBuf,
    /// An audit log that may be newer than that of the data directory.
    pub audit: Option<PathBuf>,
    /// Whether a backup is accepted that is newer than every audit log, so that erasures since then may be undone.
    pub accept_older_log: bool,
    /// The time, in microseconds since the Unix epoch.
    pub now: i64,
}

/// Puts a keyring back into a data directory that has lost it, and destroys again what the audit log says was destroyed since.
/// Returns how many keys that were.
///
/// # Errors
/// The backup does not fit the data, or the audit log is older than it. Nothing has changed.
pub fn restore_keyring(
    options: &KeyringRestore,
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
) -> Result<u64, RestoreError> {
    let StoreOptions { data_dir, disk, registry_kind_bytes, .. } = &options.store;
    let (path, new_path) = (data_dir.join(keyring::FILE_NAME), data_dir.join(keyring::NEW_FILE_NAME));
    if !SledStore::exists(data_dir) {
        return Err(RestoreError::NoData { path: data_dir.clone() });
    }
    let _lock = lock(data_dir)?;
    check_finished(data_dir)?;
    if path.exists() {
        return Err(RestoreError::KeyringThere { path });
    }
    let given = GivenKeyring::open(&options.from, master, options.now)?;
    let (disk_of_registry, keys) = (Arc::clone(disk), given.keys().clone());
    let opened =
        DurableRegistry::open(disk_of_registry, data_dir, false, keys, Arc::clone(entropy), *registry_kind_bytes);
    match opened {
        Err(OpenError::Damaged { .. }) => return Err(RestoreError::WrongKeyring),
        opened => drop(opened?),
    }
    let log = options.audit.as_deref();
    let erasures = known_erasures(data_dir, log, given.keys(), given.time(), options.accept_older_log)?.erasures;
    let failed = |source| RestoreError::Disk { doing: "write the keyring", path: new_path.clone(), source };
    given.write_to(&**disk, &new_path)?;
    if let Some(last) = last_slot(&options.store)? {
        reserve_slots(&new_path, last).map_err(failed)?;
    }
    let keyring = Keyring::open_at(disk, data_dir, keyring::NEW_FILE_NAME, master, Arc::clone(entropy))?;
    let applied = keyring.reapply(erasures.into_iter()).map_err(failed)?;
    drop(keyring);
    // It gets its name when no erased user can be read with it.
    replace_file(&**disk, &new_path, &path)?;
    Ok(applied)
}
