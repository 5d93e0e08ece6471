//! The keys of the key tree as operators see them: their ages, and their rotation.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use domain::port::clock::{Clock, Entropy};

use crate::data_dir::lock;
use crate::error::OpenError;
use crate::keyring::{self, KeyRotationError, Keyring, RingRotation, RotationProgress};
use crate::options::MasterKey;
use crate::system_keys::SystemKeys;

/// Tells the ages of master key and ring key, and rotates them while the store is in use.
#[derive(Clone)]
pub struct KeyManager {
    keyring: Arc<Keyring>,
    clock: Option<Arc<dyn Clock>>,
    /// The data directory stays locked while a rotation may run.
    _lock_file: Arc<File>,
}

/// A key of the key tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAge {
    /// Its version: of the master key, or the number of the ring key.
    pub version: u32,
    /// Since when it is in use, in microseconds since the Unix epoch; `None` if not known, as of keyrings of the first format.
    pub since: Option<i64>,
}

/// What is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus {
    /// The master key, which wraps the ring key.
    pub master: KeyAge,
    /// The ring key, which wraps the users' data keys.
    pub ring: KeyAge,
    /// The rotation of the ring key that runs.
    pub rotation: Option<RotationProgress>,
}

impl KeyManager {
    pub(crate) fn new(keyring: Arc<Keyring>, clock: Option<Arc<dyn Clock>>, lock_file: Arc<File>) -> Self {
        Self { keyring, clock, _lock_file: lock_file }
    }

    /// Opens the keyring of a data directory alone. The directory is locked until the manager is dropped.
    ///
    /// # Errors
    /// The directory is in use by another process, or the keyring does not open.
    pub fn open(
        disk: &Arc<dyn crate::disk::Disk>,
        data_dir: &Path,
        master: &MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let lock_file = Arc::new(lock(data_dir)?);
        keyring::restore_name(disk, data_dir)?;
        let keyring = Keyring::open(disk, data_dir, master, entropy)?;
        Ok(Self::new(Arc::new(keyring), Some(clock), lock_file))
    }

    /// Returns the keys in use and their ages.
    pub fn status(&self) -> KeyStatus {
        self.keyring.key_status()
    }

    /// Reads the keys in use from the keyring of a data directory, which is neither locked nor changed. Needs no key.
    ///
    /// # Errors
    /// The keyring cannot be read.
    pub fn read_status(data_dir: &Path) -> Result<KeyStatus, OpenError> {
        keyring::read_key_status(data_dir)
    }

    /// Returns the keys of records that belong to no user.
    pub fn system_keys(&self) -> SystemKeys {
        self.keyring.system_keys()
    }

    /// Wraps the ring key under the newest version of the master key. `master` has the version in use, too. Durable when it
    /// returns; a crash leaves one of both versions in use.
    ///
    /// # Errors
    /// There is no newer version, the version in use is not given, or the keyring cannot be written.
    pub fn rotate_master(&self, master: &MasterKey) -> Result<KeyAge, KeyRotationError> {
        self.keyring.replace_master(master, self.now())?;
        Ok(self.status().master)
    }

    /// Wraps the data keys of all users under a new ring key, at a pace that leaves time to others. It takes two to three
    /// seconds for each million users. Users are read, written, added and erased meanwhile. Durable when it returns; a crash leaves
    /// one of both ring keys in use.
    ///
    /// # Errors
    /// Another rotation runs, the master key does not open the keyring, the disk fails, or the store is closed meanwhile.
    pub fn rotate_ring(&self, master: &MasterKey) -> Result<RingRotation, KeyRotationError> {
        self.keyring.replace_ring(master, self.now())
    }

    /// Interrupts a rotation that runs, waits until it has ended, and refuses further ones.
    pub fn stop(&self) {
        self.keyring.stop_rotations();
    }

    fn now(&self) -> i64 {
        self.clock.as_ref().map_or(0, |clock| clock.now_micros())
    }
}
