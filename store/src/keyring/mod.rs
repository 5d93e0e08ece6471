//! The keyring: a file of its own, apart from sled and the journal, that holds every user's data key, wrapped.
//!
//! Deleted bytes stay on disk for a while in the journal and in sled, which are both logs. A slot of the keyring is
//! overwritten in place, so destroying a key makes everything unreadable that was ever sealed under it.

mod header;
mod pool;
mod slot;

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::port::clock::Entropy;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::disk::{Disk, DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::erasure::SealedTombstone;
use crate::error::OpenError;
use crate::options::MasterKey;
use crate::seal::{Cipher, KEY_BYTES, SecretKey};
use crate::system_keys::SystemKeys;
use header::{KEYRING_HEADER_BYTES, KeyringHeader};
pub(crate) use pool::IssuedSlot;
use pool::SlotPool;
pub(crate) use slot::{FIRST_GENERATION, SlotFault, SlotState};
use slot::{SLOT_BYTES, SLOTS_PER_PAGE};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "keyring";
const NEW_FILE_NAME: &str = "keyring.new";

/// Reads the keys of records that belong to no user from the keyring of a data directory, which is neither locked nor
/// changed.
pub(crate) fn read_system_keys(data_dir: &Path, master: &MasterKey) -> Result<SystemKeys, OpenError> {
    let path = data_dir.join(FILE_NAME);
    let failed = |source| OpenError::Disk { doing: "read the keyring", path: path.clone(), source };
    let file = crate::disk::open_read_only(&path).map_err(failed)?;
    let mut bytes = vec![0; KEYRING_HEADER_BYTES];
    let filled = read_full_at(&*file, &mut bytes, 0).map_err(failed)?;
    Ok(SystemKeys::new(KeyringHeader::decode(&bytes[..filled], master)?.system_root))
}

/// The open keyring, shared by all threads.
pub(crate) struct Keyring {
    file: Arc<dyn DiskFile>,
    ring: Cipher,
    header: KeyringHeader,
    pool: Mutex<SlotPool>,
    /// Locked while a slot that is in use is looked at and then written.
    rewriting: Mutex<()>,
    entropy: Arc<dyn Entropy>,
}

impl Keyring {
    /// Creates a keyring with fresh keys. Durable when it returns.
    pub(crate) fn create(
        disk: &dyn Disk,
        data_dir: &Path,
        master: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<(), OpenError> {
        let (path, new_path) = (data_dir.join(FILE_NAME), data_dir.join(NEW_FILE_NAME));
        let made = || -> io::Result<()> {
            let file = disk.create(&new_path)?;
            let bytes = KeyringHeader::generate(entropy).encode(master, entropy);
            write_all_at(&*file, &bytes, 0).map_err(|WriteFailed { source, .. }| source)?;
            file.sync_data()?;
            // The name appears only when the content is durable.
            disk.rename(&new_path, &path)?;
            disk.directory(data_dir)?.sync()
        };
        made().map_err(|source| OpenError::Disk { doing: "create the keyring", path: path.clone(), source })
    }

    /// Opens the keyring of a data directory.
    pub(crate) fn open(
        disk: &dyn Disk,
        data_dir: &Path,
        master: &MasterKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let path = data_dir.join(FILE_NAME);
        let failed = |source| OpenError::Disk { doing: "read the keyring", path: path.clone(), source };
        let file = disk.open(&path).map_err(failed)?;
        let mut bytes = vec![0; KEYRING_HEADER_BYTES];
        let filled = read_full_at(&*file, &mut bytes, 0).map_err(failed)?;
        let header = KeyringHeader::decode(&bytes[..filled], master)?;
        let written =
            file.length().map_err(failed)?.saturating_sub(KEYRING_HEADER_BYTES as u64).div_ceil(SLOT_BYTES as u64);
        // A batch starts on a new page, so that a torn write of it cannot damage slots that are in use.
        let next = written.next_multiple_of(SLOTS_PER_PAGE);
        let next = u32::try_from(next).map_err(|_| OpenError::Damaged {
            what: "the keyring",
            detail: format!("{written} slots are more than there can be"),
        })?;
        Ok(Self {
            ring: header.ring_key.cipher(),
            header,
            file,
            pool: Mutex::new(SlotPool::starting_at(next)),
            rewriting: Mutex::new(()),
            entropy,
        })
    }

    /// Returns the key of the user hash. It never rotates.
    pub(crate) fn user_hash_key(&self) -> &SecretKey {
        &self.header.user_hash_key
    }

    /// Returns the keys of records that belong to no user.
    pub(crate) fn system_keys(&self) -> SystemKeys {
        SystemKeys::new(self.header.system_root.clone())
    }

    /// Reads and unwraps the data key of a generation in a slot.
    pub(crate) fn data_key(&self, number: u32, generation: u32) -> Result<SecretKey, SlotFault> {
        slot::decode(&self.ring, number, generation, &self.read_slot(number)?)
    }

    /// Reads what a slot says without its key.
    pub(crate) fn slot_state(&self, number: u32) -> Result<SlotState, SlotFault> {
        slot::decode_state(number, &self.read_slot(number)?)
    }

    fn read_slot(&self, number: u32) -> Result<[u8; SLOT_BYTES], SlotFault> {
        let mut bytes = [0; SLOT_BYTES];
        let filled = read_full_at(&*self.file, &mut bytes, slot::offset(number)).map_err(SlotFault::Unavailable)?;
        if filled < SLOT_BYTES {
            return Err(SlotFault::Damaged { slot: number, what: "is missing" });
        }
        Ok(bytes)
    }

    /// Writes a slot that is in use. Durable when it returns.
    fn write_slot(&self, number: u32, bytes: &[u8; SLOT_BYTES]) -> io::Result<()> {
        write_all_at(&*self.file, bytes, slot::offset(number)).map_err(|WriteFailed { source, .. }| source)?;
        self.file.sync_data()
    }

    /// Takes `count` unused slots. Their keys are durable when it returns.
    ///
    /// Slots are written in batches, each with one write and one sync, so a group of new users rarely waits for a write.
    pub(crate) fn take(&self, count: usize) -> io::Result<Vec<IssuedSlot>> {
        let mut pool = self.pool.lock();
        if pool.ready() < count {
            pool.refill(count, &*self.file, &self.ring, &*self.entropy)?;
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
        self.write_slot(number, &slot::destroyed(generation, None))
    }

    /// Destroys the data key of a user's generation, and with it everything that was sealed under it, and leaves the tombstone
    /// in its place. Does nothing if that was done before. Durable when it returns.
    pub(crate) fn bury(&self, number: u32, generation: u32, tombstone: &SealedTombstone) -> Result<(), SlotFault> {
        let _rewriting = self.rewriting.lock();
        let before = self.slot_state(number);
        match before {
            Ok(SlotState::Live { generation: found }) if found > generation => return Ok(()),
            Ok(SlotState::Destroyed { generation: found, .. }) if found >= generation => return Ok(()),
            Err(fault @ SlotFault::Unavailable(_)) => return Err(fault),
            // A damaged slot may still hold the key.
            Ok(_) | Err(_) => {}
        }
        self.write_slot(number, &slot::destroyed(generation, Some(tombstone))).map_err(SlotFault::Unavailable)
    }

    /// Returns the data key of a user's next generation, in the same slot. A new key is durable when it returns, and the key of
    /// the generation before is destroyed by it.
    pub(crate) fn renew(&self, number: u32, generation: u32) -> Result<SecretKey, SlotFault> {
        let _rewriting = self.rewriting.lock();
        match self.slot_state(number)? {
            // Made before a group that was not written, and never used. A second key would be wrapped with the same nonce.
            SlotState::Live { generation: found } if found == generation => return self.data_key(number, generation),
            SlotState::Live { generation: found } | SlotState::Destroyed { generation: found, .. }
                if found >= generation =>
            {
                return Err(SlotFault::Erased);
            }
            SlotState::Live { .. } | SlotState::Destroyed { .. } => {}
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.entropy.fill(&mut *key);
        let key = SecretKey::new(*key);
        let bytes = slot::encode(&self.ring, number, generation, &key);
        self.write_slot(number, &bytes).map_err(SlotFault::Unavailable)?;
        Ok(key)
    }

    /// Returns whether any slot was ever written.
    pub(crate) fn has_slots(&self) -> bool {
        self.pool.lock().next_slot() > 0
    }

    /// Returns the file's length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.length().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
