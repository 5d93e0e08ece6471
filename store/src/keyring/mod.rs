//! The keyring: a file of its own, apart from sled and the journal, that holds every user's data key, wrapped.
//!
//! Deleted bytes stay on disk for a while in the journal and in sled, which are both logs. A slot of the keyring is
//! overwritten in place, so destroying a key makes everything unreadable that was ever sealed under it.
//!
//! A new master key wraps the ring key again, in the header ([`Keyring::replace_master`]). A new ring key wraps all slots
//! again, in a second file that replaces the first ([`Keyring::replace_ring`]); meanwhile every write of a slot goes to both.

mod backup_file;
mod copy;
mod file;
mod generations;
mod header;
mod names;
mod pool;
mod rotation;
mod slot;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::port::clock::Entropy;
use parking_lot::Mutex;

use crate::disk::Disk;
use crate::error::OpenError;
use crate::key_manager::KeyStatus;
use crate::locked::Locked;
use crate::options::MasterKey;
use crate::seal::SecretKey;
use crate::system_keys::SystemKeys;
pub(crate) use backup_file::{KeyringMac, KeyringTrailer, TRAILER_BYTES};
pub(crate) use copy::{KEYRING_HEADER_BYTES, KeyringCopy, SlotContent, find_system_keys, reserve_slots};
use file::{HeaderError, KeyringFile, read_header};
use header::{HeaderCopy, HeaderInfo, KeyringHeader};
use names::KeyringDirectory;
pub(crate) use names::{FILE_NAME, NEW_FILE_NAME};
pub(crate) use pool::IssuedSlot;
use pool::SlotPool;
use rotation::RotationState;
pub use rotation::{KeyRotationError, RingRotation, RotationProgress};
pub(crate) use slot::{FIRST_GENERATION, SlotFault, SlotState};
use slot::{SLOT_BYTES, SLOTS_PER_PAGE};
use writer::SlotWriter;

/// Reads the keys of records that belong to no user from the keyring of a data directory, which is neither locked nor
/// changed.
pub(crate) fn read_system_keys(data_dir: &Path, master: &MasterKey) -> Result<SystemKeys, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let failed = |source| OpenError::Disk { doing: "read the keyring", path: path.clone(), source };
    let file = names::open_read_only(data_dir).map_err(failed)?;
    let bytes = read_header(&*file).map_err(failed)?;
    Ok(SystemKeys::new(HeaderCopy::find(&bytes)?.unwrap_keys(master)?.system_root))
}

/// Reads the keys in use from the keyring of a data directory, which is neither locked nor changed.
pub(crate) fn read_key_status(data_dir: &Path) -> Result<KeyStatus, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let bytes = names::open_read_only(data_dir).and_then(|file| read_header(&*file));
    let bytes = bytes.map_err(|source| OpenError::Disk { doing: "read the keyring", path, source })?;
    Ok(HeaderCopy::find(&bytes)?.info().key_status())
}

/// Gives the keyring its name back if a crash interrupted the replacement of its file.
pub(crate) fn restore_name(disk: &Arc<dyn Disk>, data_dir: &Path) -> Result<(), OpenError> {
    let directory = KeyringDirectory::new(disk, data_dir);
    directory.restore_name().map_err(|source| OpenError::Disk {
        doing: "restore the keyring",
        path: directory.current(),
        source,
    })
}

/// The open keyring, shared by all threads.
pub(crate) struct Keyring {
    directory: KeyringDirectory,
    /// The file in use.
    current: ArcSwap<KeyringFile>,
    /// Writes slots, to both files while a rotation runs.
    writer: Mutex<SlotWriter>,
    pool: Mutex<SlotPool>,
    /// Locked while a slot that is in use is looked at and then written.
    rewriting: Mutex<()>,
    /// The generations whose keys were destroyed durably since the keyring was opened, by their slots.
    buried: Mutex<HashMap<u32, u32>>,
    /// The key of the hash that stands for a user id.
    user_hash_key: Locked<SecretKey>,
    system_keys: SystemKeys,
    rotation: RotationState,
    entropy: Arc<dyn Entropy>,
}

impl Keyring {
    /// Creates a keyring with fresh keys, wrapped under the newest version of the master key. Durable when it returns.
    ///
    /// `now` is in microseconds since the Unix epoch; 0 if not known.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        master: &MasterKey,
        now: i64,
        entropy: &dyn Entropy,
    ) -> Result<(), OpenError> {
        let directory = KeyringDirectory::new(disk, data_dir);
        let master = master.newest();
        let info = HeaderInfo {
            edition: 1,
            master_version: master.number(),
            master_since: now,
            ring_number: 1,
            ring_since: now,
        };
        let made = || -> io::Result<()> {
            let file = disk.create(&directory.new_file())?;
            KeyringFile::create(file, &KeyringHeader::generate(entropy), info, master, entropy)?.sync()?;
            // The name appears only when the content is durable.
            disk.rename(&directory.new_file(), &directory.current())?;
            directory.sync()
        };
        made().map_err(|source| OpenError::Disk { doing: "create the keyring", path: directory.current(), source })
    }

    /// Opens the keyring of a data directory, and removes what an interrupted rotation has left.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        master: &MasterKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let keyring = Self::open_at(disk, data_dir, FILE_NAME, master, entropy)?;
        let (path, current) = (keyring.directory.current(), keyring.current.load_full());
        let failed = |source| OpenError::Disk { doing: "read the keyring", path: path.clone(), source };
        if !current.is_header_everywhere() {
            current.repair_header().map_err(|error| match error {
                HeaderError::Open(error) => error,
                HeaderError::Disk(source) => {
                    OpenError::Disk { doing: "repair the keyring", path: path.clone(), source }
                }
            })?;
            tracing::info!("the header of the keyring was repaired, which a crash had left half written");
        }
        // A killed process may only have written a slot, or renamed a file. Whoever finds a key destroyed relies on it, so neither
        // the key nor the file before may come back when the power fails afterwards.
        current.sync().and_then(|()| keyring.directory.sync()).map_err(failed)?;
        if keyring.directory.remove_leftovers(current.info().ring_number).map_err(failed)? {
            tracing::info!("a rotation of the ring key was interrupted, and what it left was removed");
        }
        Ok(keyring)
    }

    /// Opens the keyring with a name in a data directory, and changes nothing.
    pub(crate) fn open_at(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        name: &str,
        master: &MasterKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let directory = KeyringDirectory::new(disk, data_dir);
        let path = data_dir.join(name);
        let failed = |source| OpenError::Disk { doing: "read the keyring", path: path.clone(), source };
        let file = disk.open(&path).map_err(failed)?;
        let bytes = read_header(&*file).map_err(failed)?;
        let (current, keys) = KeyringFile::open(file, &HeaderCopy::find(&bytes)?, master)?;
        let written = current.slots().map_err(failed)?;
        // A batch starts on a new page, so that a torn write of it cannot damage slots that are in use.
        let next = u32::try_from(written.next_multiple_of(SLOTS_PER_PAGE)).map_err(|_| OpenError::Damaged {
            what: "the keyring",
            detail: format!("{written} slots are more than there can be"),
        })?;
        Ok(Self {
            directory,
            current: ArcSwap::from_pointee(current),
            writer: Mutex::new(SlotWriter::new()),
            pool: Mutex::new(SlotPool::starting_at(next)),
            rewriting: Mutex::new(()),
            buried: Mutex::default(),
            user_hash_key: Locked::new(keys.user_hash_key),
            system_keys: SystemKeys::new(keys.system_root),
            rotation: RotationState::default(),
            entropy,
        })
    }

    /// Returns the key of the user hash. It never rotates.
    pub(crate) fn user_hash_key(&self) -> &SecretKey {
        &self.user_hash_key
    }

    /// Returns the keys of records that belong to no user.
    pub(crate) fn system_keys(&self) -> SystemKeys {
        self.system_keys.clone()
    }

    /// Returns the data key of a generation in a slot.
    pub(crate) fn data_key(&self, number: u32, generation: u32) -> Result<SecretKey, SlotFault> {
        let current = self.current.load();
        slot::decode(current.ring(), number, generation, &read_slot(&current, number)?)
    }

    /// Takes `count` unused slots. Their keys are durable when it returns.
    ///
    /// Slots are written in batches, each with one write and one sync, so a group of new users rarely waits for a write.
    pub(crate) fn take(&self, count: usize) -> io::Result<Vec<IssuedSlot>> {
        let mut pool = self.pool.lock();
        if pool.ready() < count {
            pool.refill(count, &*self.entropy, &|first, encode| self.write_slots(first, encode))?;
        }
        Ok(pool.take(count))
    }

    /// Takes up to `count` unused slots that are written already.
    pub(crate) fn take_ready(&self, count: usize) -> Vec<IssuedSlot> {
        self.pool.lock().take(count)
    }

    /// Takes slots back that nothing refers to, not even a frame that was written in part.
    pub(crate) fn give_back(&self, unused: Vec<IssuedSlot>) {
        self.pool.lock().give_back(unused);
    }

    /// Returns the first slot of the unused ones at the end.
    pub(crate) fn first_unused(&self) -> u32 {
        self.pool.lock().first_unused()
    }

    /// Makes the slots from `first` on available again, which a clean shutdown left unused.
    pub(crate) fn adopt_from(&self, first: u32) {
        let mut pool = self.pool.lock();
        for number in first..pool.next_slot() {
            // An unused slot that cannot be read stays unused.
            if let Ok(key) = self.data_key(number, slot::FIRST_GENERATION) {
                pool.give_back(vec![IssuedSlot { slot: number, key }]);
            }
        }
    }

    /// Destroys a data key that is no user's, and with it everything that was sealed under it. Durable when it returns.
    pub(crate) fn destroy(&self, number: u32, generation: u32) -> io::Result<()> {
        let _rewriting = self.rewriting.lock();
        self.write_slot(number, &|_| slot::destroyed(generation, None))
    }

    /// Returns whether any slot was ever written.
    pub(crate) fn has_slots(&self) -> bool {
        self.pool.lock().next_slot() > 0
    }

    /// Returns the file's length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.current.load().bytes()
    }
}

fn read_slot(file: &KeyringFile, number: u32) -> Result<[u8; SLOT_BYTES], SlotFault> {
    let bytes = file.read_slot(number).map_err(SlotFault::Unavailable)?;
    bytes.ok_or(SlotFault::Damaged { slot: number, what: "is missing" })
}

#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;
