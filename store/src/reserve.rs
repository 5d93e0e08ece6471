//! Disk space and descriptors that are reserved for reopening sled.
//!
//! sled does not recover from a failed write: it has to be reopened, which itself takes disk space and descriptors. So the
//! store keeps a file of some mebibytes and a few open descriptors. Both are released right before sled is reopened, or
//! opened on a full disk or without a free descriptor, and taken again as soon as possible. Without the reserve, nothing
//! is written to sled, so that no write can fail when reopening is impossible.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, WriteFailed, write_all_at};

/// The file's name in the data directory.
const FILE_NAME: &str = "reserve";
/// The smallest reserve, and the step in which it grows. sled's segments have 512 KiB, and opening writes a few.
const STEP_BYTES: u64 = 8 << 20;
/// On a full disk the reserve is as large as possible, in steps of this size.
const PART_BYTES: u64 = 1 << 20;
/// Bytes of sled for each byte of the reserve. When sled is opened, it writes a list of its pages; this list and the one
/// before take a few hundredths of sled's size.
const SLED_BYTES_PER_BYTE: u64 = 32;
/// Bytes of a test write: one page.
const TEST_WRITE_BYTES: usize = 4096;
/// Number of descriptors to reserve.
const DESCRIPTORS: usize = 8;
/// Number of descriptors that opening sled takes. While sled is closed, another thread may take the one that it had.
const ENOUGH_DESCRIPTORS: usize = 5;

/// Locked by whatever allocates disk space, so that nothing takes the space of the reserve while sled is reopened. Taken
/// before all other locks but that of the checkpoint.
pub(crate) type SpaceLock = Arc<Mutex<()>>;

/// The reserve of one data directory.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    held: Mutex<ReserveState>,
    space: SpaceLock,
}

#[derive(Default)]
struct ReserveState {
    /// Kept open, so that a test write needs no descriptor.
    file: Option<Arc<dyn DiskFile>>,
    bytes: u64,
    /// How many bytes it has to have.
    wanted: u64,
    descriptors: Vec<File>,
}

impl Reserve {
    /// Takes over the reserve file of an earlier run, if there is one.
    pub(crate) fn find(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let file = disk.open(&path).ok();
        let bytes = file.as_ref().and_then(|file| file.length().ok()).unwrap_or(0);
        let held = Mutex::new(ReserveState { file, bytes, ..ReserveState::default() });
        Self { disk, path, held, space: SpaceLock::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the reserve as large as reopening a sled of `sled_bytes` bytes needs it.
    pub(crate) fn ensure(&self, sled_bytes: u64) -> io::Result<()> {
        let mut held = self.held.lock();
        let space = self.ensure_space(&mut held, sled_bytes);
        while held.descriptors.len() < DESCRIPTORS {
            match File::open("/dev/null") {
                Ok(file) => held.descriptors.push(file),
                Err(_) if held.descriptors.len() >= ENOUGH_DESCRIPTORS => break,
                Err(error) => return Err(error),
            }
        }
        space
    }

    fn ensure_space(&self, held: &mut ReserveState, sled_bytes: u64) -> io::Result<()> {
        let wanted = STEP_BYTES + (sled_bytes / SLED_BYTES_PER_BYTE).next_multiple_of(STEP_BYTES);
        held.wanted = wanted;
        if held.bytes >= wanted {
            return Ok(());
        }
        let file = match &held.file {
            Some(file) => file.clone(),
            None => self.disk.create(&self.path)?,
        };
        let mut bytes = wanted;
        let mut failure = None;
        // A smaller one is useful, too, for the next start.
        while bytes > held.bytes {
            match file.allocate(bytes) {
                Ok(()) => {
                    held.bytes = bytes;
                    break;
                }
                Err(error) => failure.get_or_insert(error),
            };
            bytes -= PART_BYTES;
        }
        if held.bytes > 0 {
            held.file = Some(file);
        } else {
            // A file without space is useless.
            held.file = None;
            let _ = self.disk.remove(&self.path);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Returns whether the reserve is complete, so that sled can be reopened if a write fails.
    pub(crate) fn is_held(&self) -> bool {
        let held = self.held.lock();
        held.bytes > 0 && held.bytes >= held.wanted && held.descriptors.len() >= ENOUGH_DESCRIPTORS
    }

    /// Releases the disk space and the descriptors.
    pub(crate) fn release(&self) {
        let mut held = self.held.lock();
        held.descriptors.clear();
        if held.file.take().is_some() {
            match self.disk.remove(&self.path) {
                Ok(()) => held.bytes = 0,
                Err(error) => tracing::warn!("the reserve `{}` could not be released: {error}", self.path.display()),
            }
        }
    }

    /// Tests whether the disk takes writes, by writing zeros to the reserve.
    pub(crate) fn try_write(&self) -> io::Result<()> {
        let Some(file) = self.held.lock().file.clone() else { return Ok(()) };
        write_all_at(&*file, &[0; TEST_WRITE_BYTES], 0).map_err(|WriteFailed { source, .. }| source)?;
        file.sync_data()
    }

    /// Locks the allocation of disk space.
    pub(crate) fn lock_space(&self) -> MutexGuard<'_, ()> {
        self.space.lock()
    }

    /// Returns the lock of [`Self::lock_space`], to be shared.
    pub(crate) fn space_lock(&self) -> SpaceLock {
        self.space.clone()
    }
}
