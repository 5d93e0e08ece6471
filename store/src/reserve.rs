//! Room and descriptors that are kept for the worst moment.
//!
//! sled never gets over a failed write: its files have to be opened anew, which itself takes room and descriptors. So a
//! file of some mebibytes lies beside it, together with a few open descriptors. Both are given up right before sled is
//! opened on a disk that is full or in a process that has no descriptor left, and taken again when that is possible.
//! While the reserve is gone, nothing is written to sled, so that it does not fail again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, WriteFailed, write_all_at};

/// The file's name in the data directory.
const FILE_NAME: &str = "reserve";
/// The smallest reserve, and the step in which it grows: sled's segments have 512 KiB, and opening writes a few.
const STEP_BYTES: u64 = 8 << 20;
/// On a full disk it is as large as it can be, in steps of this.
const PART_BYTES: u64 = 1 << 20;
/// sled writes a list of its pages when it is opened: with the list before it, some hundredths of its size.
const SLED_BYTES_PER_BYTE: u64 = 32;
/// As many descriptors are open for nothing.
const DESCRIPTORS: usize = 8;
/// sled needs no more than these to open. While it is closed, others may have taken the one that was its own.
const ENOUGH_DESCRIPTORS: usize = 5;

/// Held by whoever takes room on the disk that may be the reserve's, while that is given up. It comes before all other
/// locks but the checkpoint's own.
pub(crate) type SpaceLock = Arc<Mutex<()>>;

/// The reserve of one data directory.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    held: Mutex<ReserveState>,
    room: SpaceLock,
}

#[derive(Default)]
struct ReserveState {
    /// Open all the time, so that a trial write needs no descriptor.
    file: Option<Arc<dyn DiskFile>>,
    bytes: u64,
    /// How large it has to be.
    wanted: u64,
    descriptors: Vec<File>,
}

impl Reserve {
    /// The reserve that an earlier start left, if it did.
    pub(crate) fn find(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let file = disk.open(&path).ok();
        let bytes = file.as_ref().and_then(|file| file.length().ok()).unwrap_or(0);
        let held = Mutex::new(ReserveState { file, bytes, ..ReserveState::default() });
        Self { disk, path, held, room: SpaceLock::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the reserve as large as a sled of `sled_bytes` needs it.
    pub(crate) fn ensure(&self, sled_bytes: u64) -> io::Result<()> {
        let mut held = self.held.lock();
        let room = self.ensure_room(&mut held, sled_bytes);
        while held.descriptors.len() < DESCRIPTORS {
            match File::open("/dev/null") {
                Ok(file) => held.descriptors.push(file),
                Err(_) if held.descriptors.len() >= ENOUGH_DESCRIPTORS => break,
                Err(error) => return Err(error),
            }
        }
        room
    }

    fn ensure_room(&self, held: &mut ReserveState, sled_bytes: u64) -> io::Result<()> {
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
        // A smaller one is of use, too: it helps the next start.
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
            // What was found of it is of no use.
            held.file = None;
            let _ = self.disk.remove(&self.path);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Whether sled may be written to: should that fail, its files can be opened anew.
    pub(crate) fn is_held(&self) -> bool {
        let held = self.held.lock();
        held.bytes > 0 && held.bytes >= held.wanted && held.descriptors.len() >= ENOUGH_DESCRIPTORS
    }

    /// Gives everything up.
    pub(crate) fn release(&self) {
        let mut held = self.held.lock();
        held.descriptors.clear();
        if held.file.take().is_some() {
            match self.disk.remove(&self.path) {
                Ok(()) => held.bytes = 0,
                Err(error) => tracing::warn!("the reserve `{}` could not be given up: {error}", self.path.display()),
            }
        }
    }

    /// Writes to the reserve, where nothing counts: does the disk take writes?
    pub(crate) fn try_write(&self) -> io::Result<()> {
        let Some(file) = self.held.lock().file.clone() else { return Ok(()) };
        write_all_at(&*file, &[0; 4096], 0).map_err(|WriteFailed { source, .. }| source)?;
        file.sync_data()
    }

    /// While this is held, nobody else takes room in advance.
    pub(crate) fn lock_space(&self) -> MutexGuard<'_, ()> {
        self.room.lock()
    }

    pub(crate) fn room(&self) -> SpaceLock {
        self.room.clone()
    }
}
