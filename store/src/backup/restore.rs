//! Restoring a data directory from a backup.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::clock::Entropy;
use domain::port::registry::{BACKUP_TIME, Registry, RegistryEntry, RegistryError, RegistryKind};

use super::chunk::Chunk;
use super::error::{BackupFault, RestoreError};
use super::files::REGISTRY_NAME;
use super::given_keyring::{GivenKeyring, replace_file};
use super::header::BackupHeader;
use super::keyring_backup::note_keep_until;
use super::log_choice::choose_log;
use super::past_epoch::note_past_epoch;
use super::reader::BackupReader;
use super::target::RestoreTarget;
use crate::SystemKeys;
use crate::bytes::u32_at;
use crate::data_dir::make_directory;
use crate::error::OpenError;
use crate::inspect::{InspectReport, InspectedStore, inspect_trees};
use crate::journal::{self, Position, SEGMENT_HEADER_BYTES, Segments};
use crate::keyring::{self, Keyring, SlotContent, reserve_slots};
use crate::options::{MasterKey, StoreOptions};
use crate::quarantine::QuarantineNote;
use crate::registry::DurableRegistry;
use crate::sled_store::{Meta, SealedRecord, SledStore, TreeKind, TreeValue, is_note_key};
use crate::user_hash::{UserHash, UserHasher};

/// Bytes that are written to sled before the next flush, as in checkpoints.
const FLUSH_BYTES: usize = 256 << 10;

/// How a backup is restored.
pub struct RestoreOptions {
    /// The options of the store that is restored. Its data directory must be empty, but for what the operator has put there:
    /// a keyring, secrets, and tables.
    pub store: StoreOptions,
    /// The keyring or a backup of it. `None`: the one that is in the data directory.
    pub keyring: Option<PathBuf>,
    /// An audit log that may be newer than that of the backup.
    pub audit: Option<PathBuf>,
    /// Whether a keyring is accepted that is newer than every audit log, so that erasures since then may be undone.
    pub accept_older_log: bool,
    /// Whether every record that was written is opened, which takes about as long as writing it.
    pub verify: bool,
    /// The time, in microseconds since the Unix epoch.
    pub now: i64,
}

/// What a backup has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// The moment of the backup, in microseconds since the Unix epoch.
    pub backup_time: i64,
    /// Bytes of the backup.
    pub bytes: u64,
    /// Values in sled.
    pub values: u64,
    /// Users, erased ones included.
    pub users: u64,
    /// Users whose key the keyring does not have, because it is older: they cannot be read.
    pub users_without_key: u64,
    /// Keys that were destroyed again, because the audit log says that they had been.
    pub erasures_applied: u64,
    /// Epoch of the restored store; 0 if nothing was restored.
    pub epoch: u64,
    /// When the backup of the keyring was made, in microseconds since the Unix epoch; `None` for a keyring that is no backup.
    pub keyring_time: Option<i64>,
}

/// Checks a backup, and writes nothing. Without `keys`, which are a keyring and its master key, damage is found, but not every
/// deliberate change. `progress` gets the number of bytes that were read.
///
/// # Errors
/// The backup is not sound, or the keyring does not fit.
pub fn check_backup(
    input: &mut dyn Read,
    keys: Option<(&Path, &MasterKey)>,
    now: i64,
    progress: &mut dyn FnMut(u64),
) -> Result<RestoreReport, RestoreError> {
    let mut reader = BackupReader::begin(input)?;
    let keyring = keys.map(|(keyring, master)| GivenKeyring::open(keyring, master, now)).transpose()?;
    if let Some(keyring) = &keyring {
        reader.authenticate(keyring.keys())?;
    }
    let mut users = 0;
    while let Some(chunk) = reader.next()? {
        if let Chunk::Values(values) = chunk {
            users += values.iter().filter(|value| is_user(value)).count() as u64;
        }
        progress(reader.bytes());
    }
    let (backup_time, values, bytes) = (reader.header().time, reader.totals().values, reader.bytes());
    let keyring_time = keyring.and_then(|keyring| keyring.time());
    Ok(RestoreReport { backup_time, bytes, values, users, keyring_time, ..RestoreReport::default() })
}

/// Restores a data directory from a backup. The store that opens there has another epoch, so that clients that hold cursors
/// and ETags of the old one begin again. Nothing is left in the directory after an error. `progress` gets the number of
/// bytes that were read.
///
/// # Errors
/// The backup is not sound, the keyring does not fit, or the directory is not empty.
pub fn restore(
    options: &RestoreOptions,
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
    input: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<RestoreReport, RestoreError> {
    let mut reader = BackupReader::begin(input)?;
    let data_dir = &options.store.data_dir;
    let in_place = data_dir.join(keyring::FILE_NAME);
    let given = GivenKeyring::open(options.keyring.as_deref().unwrap_or(&in_place), master, options.now)?;
    reader.authenticate(given.keys())?;
    let mut target = RestoreTarget::begin(Arc::clone(&options.store.disk), data_dir)?;
    if options.keyring.is_some() && target.had(keyring::FILE_NAME) {
        let name = keyring::FILE_NAME.to_owned();
        return Err(RestoreError::NotEmpty { path: data_dir.clone(), name });
    }
    let sled = SledStore::open(&options.store)?;
    let last_slot = write_chunks(&mut reader, &mut target, &sled, progress)?;
    if !target.has_file(REGISTRY_NAME) {
        return Err(BackupFault::damaged(reader.totals().chunks, "it has no registry").into());
    }
    // The one in the directory is as new as it can be. A copy of another one may be of any age.
    let is_age_known = options.keyring.is_none() || given.time().is_some();
    if !is_age_known && options.audit.is_none() && !options.accept_older_log {
        return Err(RestoreError::KeyringAgeUnknown);
    }
    let known = choose_log(options, given.keys(), given.time(), &target)?;
    note_in_registry(options, given.keys(), entropy, known.keep_until.max(given.keep_until()), reader.header())?;
    if options.keyring.is_some() {
        let new_path = data_dir.join(keyring::NEW_FILE_NAME);
        given.write_to(&*options.store.disk, &new_path)?;
        replace_file(&*options.store.disk, &new_path, &in_place)?;
    }
    if let Some(last) = last_slot {
        let reserved = reserve_slots(&in_place, last);
        reserved.map_err(|source| RestoreError::Disk { doing: "write", path: in_place.clone(), source })?;
    }
    let keyring = Keyring::open(&options.store.disk, data_dir, master, Arc::clone(entropy))?;
    let applied = keyring.reapply(known.erasures.into_iter());
    let erasures_applied =
        applied.map_err(|source| RestoreError::Disk { doing: "write", path: in_place.clone(), source })?;
    let epoch = begin_journal(options, &sled, &**entropy, reader.header())?;
    let (users, users_without_key) = count_users(&sled, &keyring)?;
    if options.verify {
        let hasher = UserHasher::new(keyring.user_hash_key().bytes());
        let store = InspectedStore { sled: &sled, keyring: &keyring, hasher };
        inspect_trees(&store, &mut InspectReport::default()).map_err(RestoreError::Unsound)?;
    }
    drop((sled, keyring));
    let report = RestoreReport {
        backup_time: reader.header().time,
        bytes: reader.bytes(),
        values: reader.totals().values,
        users,
        users_without_key,
        erasures_applied,
        epoch,
        keyring_time: given.time(),
    };
    target.finish()?;
    Ok(report)
}

/// Notes in the restored registry until when backups of the keyring may be kept that are newer than it; the epoch that the
/// store had: users can go on from backups of that epoch up to this one, and from none after it; and the time of the backup, since
/// which the registry has missed what the audit log may know. Sessions of pages end, as some may have been ended since.
fn note_in_registry(
    options: &RestoreOptions,
    keys: &SystemKeys,
    entropy: &Arc<dyn Entropy>,
    keep_until: i64,
    header: &BackupHeader,
) -> Result<(), RestoreError> {
    let StoreOptions { disk, data_dir, registry_kind_bytes, .. } = &options.store;
    let (disk, keys, entropy) = (Arc::clone(disk), keys.clone(), Arc::clone(entropy));
    let registry = DurableRegistry::open(disk, data_dir, false, keys, entropy, *registry_kind_bytes)?;
    let failed = |error: RegistryError| RestoreError::Disk {
        doing: "write",
        path: data_dir.join(REGISTRY_NAME),
        source: io::Error::other(error),
    };
    note_past_epoch(&registry, header.epoch, header.position).map_err(failed)?;
    end_sessions(&registry).map_err(failed)?;
    let value = header.time.to_le_bytes().to_vec();
    registry.put(RegistryKind::RESTORED, BACKUP_TIME, RegistryEntry { value, expires_at: None }).map_err(failed)?;
    if keep_until <= options.now {
        return Ok(());
    }
    note_keep_until(&registry, keep_until).map_err(failed)
}

fn end_sessions(registry: &DurableRegistry) -> Result<(), RegistryError> {
    let sessions = registry.list(RegistryKind::SESSION, i64::MIN);
    sessions.iter().try_for_each(|(key, _)| registry.remove(RegistryKind::SESSION, key).map(drop))
}

/// Writes the chunks of a backup. Returns the greatest slot of the keyring that the data refers to.
fn write_chunks(
    reader: &mut BackupReader<'_>,
    target: &mut RestoreTarget,
    sled: &SledStore,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<u32>, RestoreError> {
    let (mut unflushed, mut last_slot) = (0, None);
    while let Some(chunk) = reader.next()? {
        match chunk {
            Chunk::Values(values) => {
                for value in &values {
                    unflushed += value.bytes();
                    last_slot = last_slot.max(slot_of_value(value));
                }
                sled.put_values(values)?;
            }
            Chunk::ProjectionKey(value) => {
                last_slot = last_slot.max(value.first_chunk().map(|slot| u32::from_le_bytes(*slot)));
                sled.put_projection_key_value(&value)?;
            }
            Chunk::FilePart(part) => target.write_part(&part, reader.totals().chunks)?,
            // The reader has compared it.
            Chunk::End(_) => {}
        }
        if unflushed >= FLUSH_BYTES {
            sled.flush()?;
            unflushed = 0;
        }
        progress(reader.bytes());
    }
    target.close_file()?;
    sled.flush()?;
    Ok(last_slot)
}

/// Returns the slot that a value refers to.
pub(crate) fn slot_of_value(value: &TreeValue) -> Option<u32> {
    match value.tree {
        TreeKind::DailyKeys => value.value.first_chunk().map(|slot| u32::from_be_bytes(*slot)),
        // Only the first value of a record has its header. In others, what stands there is no slot.
        TreeKind::Users | TreeKind::Records | TreeKind::Letters if value.key.ends_with(&[0, 0]) => {
            SealedRecord::from_first(&value.value, UserHash([0; 16])).map(|record| record.slot)
        }
        TreeKind::Quarantine if is_note_key(&value.key) => QuarantineNote::decode(&value.value).map(|note| note.slot),
        // The slot stands in the frame's header.
        TreeKind::Quarantine if value.key.ends_with(&[0, 0]) && value.value.len() >= 20 => {
            Some(u32_at(&value.value, 16))
        }
        _ => None,
    }
}

fn is_user(value: &TreeValue) -> bool {
    value.tree == TreeKind::Users && value.key.ends_with(&[0, 0])
}

/// Begins an empty journal under a new epoch, and returns the epoch.
fn begin_journal(
    options: &RestoreOptions,
    sled: &SledStore,
    entropy: &dyn Entropy,
    header: &BackupHeader,
) -> Result<u64, RestoreError> {
    let mut epoch = [0; 8];
    while epoch == [0; 8] || u64::from_le_bytes(epoch) == header.epoch {
        entropy.fill(&mut epoch);
    }
    let epoch = u64::from_le_bytes(epoch);
    let directory = options.store.data_dir.join(journal::DIRECTORY);
    make_directory(&directory)?;
    let failed = |source| RestoreError::Disk { doing: "create the journal in", path: directory.clone(), source };
    let space = sled.reserve().space_lock();
    let segments = Segments::new(Arc::clone(&options.store.disk), directory.clone(), epoch, space).map_err(failed)?;
    segments.create(1, 0, options.store.segment_bytes, &[]).map_err(failed)?;
    let checkpoint = Position::new(1, SEGMENT_HEADER_BYTES);
    sled.set_meta(&Meta { epoch, checkpoint, first_unused_slot: None, clock_minutes: header.clock_minutes })?;
    Ok(epoch)
}

/// Counts the users, and those whose key the keyring does not have.
fn count_users(sled: &SledStore, keyring: &Keyring) -> Result<(u64, u64), RestoreError> {
    let (mut users, mut without_key, mut fault) = (0, 0, None);
    sled.visit_tree(TreeKind::Users, |key, value| {
        let record = SealedRecord::from_first(value, UserHash([0; 16])).filter(|_| key.ends_with(&[0, 0]));
        if let Some(record) = record {
            users += 1;
            match keyring.slot_content(record.slot) {
                Ok(SlotContent::Missing | SlotContent::Damaged) => without_key += 1,
                Ok(SlotContent::Live(_) | SlotContent::Destroyed(_)) => {}
                Err(error) => fault = Some(error),
            }
        }
        fault.is_none()
    })?;
    match fault {
        None => Ok((users, without_key)),
        Some(source) => {
            let path = PathBuf::from(keyring::FILE_NAME);
            Err(OpenError::Disk { doing: "read the keyring", path, source }.into())
        }
    }
}
