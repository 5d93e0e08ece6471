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

use crate::disk::Disk;

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

/// The reserve of one data directory.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    held: Mutex<Held>,
    /// Held by whoever takes room that may be the reserve's, while that is given up.
    room: Mutex<()>,
}

#[derive(Default)]
struct Held {
    bytes: u64,
    /// How large it has to be.
    wanted: u64,
    descriptors: Vec<File>,
}

impl Reserve {
    /// The reserve that an earlier start left, if it did.
    pub(crate) fn find(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let bytes = disk.open(&path).and_then(|file| file.length()).unwrap_or(0);
        let held = Mutex::new(Held { bytes, ..Held::default() });
        Self { disk, path, held, room: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the reserve as large as a sled of `sled_bytes` needs it.
    pub(crate) fn ensure(&self, sled_bytes: u64) -> io::Result<()> {
        let mut held = self.held.lock();
        while held.descriptors.len() < DESCRIPTORS {
            held.descriptors.push(File::open("/dev/null")?);
        }
        let wanted = STEP_BYTES + (sled_bytes / SLED_BYTES_PER_BYTE).next_multiple_of(STEP_BYTES);
        held.wanted = wanted;
        if held.bytes >= wanted {
            return Ok(());
        }
        let file = if held.bytes > 0 { self.disk.open(&self.path) } else { self.disk.create(&self.path) }?;
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
        if held.bytes == 0 {
            // What was found of it is of no use.
            let _ = self.disk.remove(&self.path);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Whether sled may be written to: should that fail, its files can be opened anew.
    pub(crate) fn is_held(&self) -> bool {
        let held = self.held.lock();
        held.bytes > 0 && held.bytes >= held.wanted && held.descriptors.len() == DESCRIPTORS
    }

    /// Gives everything up.
    pub(crate) fn release(&self) {
        let mut held = self.held.lock();
        held.descriptors.clear();
        if held.bytes > 0 {
            match self.disk.remove(&self.path) {
                Ok(()) => held.bytes = 0,
                Err(error) => tracing::warn!("the reserve `{}` could not be given up: {error}", self.path.display()),
            }
        }
    }

    /// While this is held, nobody else takes room in advance.
    pub(crate) fn lock_room(&self) -> MutexGuard<'_, ()> {
        self.room.lock()
    }
}
