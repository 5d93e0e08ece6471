//! Checking a data directory without changing a byte of it.
//!
//! sled writes when it is opened, so its files are copied to a directory elsewhere first. Everything else is read in place.
//! Whatever has a key is opened. A key that was destroyed is no fault: that is what an erasure, an expired day or a removed
//! export looks like. A key that the keyring does not have at all is counted apart: the keyring is older than the data.

mod copy;
mod journal;
mod keyring;
mod read_only;
mod report;
mod slots;
mod trees;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::clock::Entropy;

pub use report::{InspectError, InspectReport, InspectedKind, StoreFault};
pub(crate) use slots::last_slot;

use crate::backup::check_finished;
use crate::data_dir::LOCK_FILE_NAME;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::keyring::{FILE_NAME, Keyring};
use crate::options::{MasterKey, StoreOptions};
use crate::registry::DurableRegistry;
use crate::sled_store::{self, SledStore};
use crate::user_hash::UserHasher;
use read_only::ReadOnlyDisk;

/// What is checked.
pub struct InspectOptions {
    /// The options of the store. Of its directory nothing is changed.
    pub store: StoreOptions,
    /// An empty directory, to which the files of sled and the registry are copied. It needs as much disk space as they have,
    /// unless the file system shares the space of copies.
    pub scratch: PathBuf,
}

/// Checks a data directory that no server uses, and returns what was checked, up to the first fault.
///
/// # Errors
/// It could not be checked: a server uses it, the master key does not open its keyring, or there is no space for the copy.
pub fn inspect(
    options: &InspectOptions,
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
) -> Result<InspectReport, InspectError> {
    let data_dir = &options.store.data_dir;
    if !data_dir.join(FILE_NAME).exists() || !SledStore::exists(data_dir) {
        return Err(InspectError::NoData { path: data_dir.clone() });
    }
    let _shared = lock_shared(data_dir)?;
    check_finished(data_dir)?;
    let mut report = InspectReport::default();
    let checked = check(options, master, entropy, &mut report)?;
    report.fault = checked.err();
    Ok(report)
}

/// Returns whether a server uses a data directory. Nothing is changed.
///
/// # Errors
/// The directory cannot be read.
pub fn is_in_use(data_dir: &Path) -> Result<bool, InspectError> {
    match lock_shared(data_dir) {
        Err(InspectError::InUse { .. }) => Ok(true),
        other => other.map(|_| false),
    }
}

/// What the checks read from.
pub(crate) struct InspectedStore<'a> {
    pub(crate) sled: &'a SledStore,
    pub(crate) keyring: &'a Keyring,
    pub(crate) hasher: UserHasher,
}

fn check(
    options: &InspectOptions,
    master: &MasterKey,
    entropy: &Arc<dyn Entropy>,
    report: &mut InspectReport,
) -> Result<Result<(), StoreFault>, InspectError> {
    let StoreOptions { data_dir, registry_kind_bytes, .. } = &options.store;
    let read_only: Arc<dyn Disk> = Arc::new(ReadOnlyDisk);
    let keyring = Keyring::open_at(&read_only, data_dir, FILE_NAME, master, Arc::clone(entropy))?;
    copy::copy_directory(&data_dir.join(sled_store::DIRECTORY), &options.scratch.join(sled_store::DIRECTORY))?;
    let has_registry = copy::copy_file(&data_dir.join("registry"), &options.scratch.join("registry"))?;
    let copied = StoreOptions { data_dir: options.scratch.clone(), ..options.store.clone() };
    if let Err(fault) = keyring::check(&keyring, report) {
        return Ok(Err(fault));
    }
    let sled = match SledStore::open(&copied) {
        Err(OpenError::Damaged { what, detail }) => return Ok(Err(StoreFault::new(what, detail))),
        Err(OpenError::Sled { doing, source }) => {
            return Ok(Err(StoreFault::new("sled", format!("could not {doing}: {source}"))));
        }
        sled => sled?,
    };
    if !has_registry {
        return Ok(Err(StoreFault::new("the registry", "it is missing".to_owned())));
    }
    let (disk, keys) = (Arc::clone(&options.store.disk), keyring.system_keys());
    match DurableRegistry::open(disk, &options.scratch, false, keys, Arc::clone(entropy), *registry_kind_bytes) {
        Err(OpenError::Damaged { what, detail }) => return Ok(Err(StoreFault::new(what, detail))),
        registry => {
            let bytes = registry?.copy().map_err(|source| InspectError::disk("read", &copied.data_dir, source))?;
            report.add("registry, bytes", InspectedKind { opened: bytes.len() as u64, ..InspectedKind::default() });
        }
    }
    let hasher = UserHasher::new(keyring.user_hash_key().bytes());
    let store = InspectedStore { sled: &sled, keyring: &keyring, hasher };
    Ok(check_parts(&store, data_dir, report))
}

fn check_parts(store: &InspectedStore<'_>, data_dir: &Path, report: &mut InspectReport) -> Result<(), StoreFault> {
    copy::check_no_blobs(&data_dir.join(sled_store::DIRECTORY))?;
    trees::check(store, report)?;
    journal::check(store, data_dir, report)
}

/// Checks the trees of an open store, whose lock the caller has.
pub(crate) fn inspect_trees(store: &InspectedStore<'_>, report: &mut InspectReport) -> Result<(), StoreFault> {
    trees::check(store, report)
}

/// Locks the data directory against servers, without writing to it.
fn lock_shared(data_dir: &Path) -> Result<Option<File>, InspectError> {
    let path = data_dir.join(LOCK_FILE_NAME);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|source| InspectError::disk("open", &path, source))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(InspectError::InUse { path: data_dir.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(InspectError::disk("lock", &path, source)),
    }
}
