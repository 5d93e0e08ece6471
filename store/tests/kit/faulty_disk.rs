//! A disk that fails when told to. A failed sync loses what it was to sync, as Linux does: it still reads well until the
//! crash, and is gone after.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use store::disk::{Disk, DiskFile, RealDisk};

/// What fails. Each number counts down on use; `u32::MAX` is for ever.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plan {
    /// Only files whose path contains this fail.
    pub(crate) path: &'static str,
    /// As many syncs fail.
    pub(crate) syncs: u32,
    /// As many writes and allocations find the disk full.
    pub(crate) full: u32,
    /// As many writes stop halfway, and fail when they go on.
    pub(crate) torn: u32,
    /// As many writes succeed before any of the others fail.
    pub(crate) after_writes: u32,
}

/// The failing disk.
#[derive(Clone, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    plan: Plan,
    reads: usize,
    lost: Vec<(Arc<dyn DiskFile>, u64, usize)>,
}

struct FaultyFile {
    real: Arc<dyn DiskFile>,
    path: String,
    disk: FaultyDisk,
    unsynced: Mutex<Vec<(u64, usize)>>,
    torn: Mutex<bool>,
}

impl FaultyDisk {
    pub(crate) fn set(&self, plan: Plan) {
        self.state().plan = plan;
    }

    /// How many reads there were.
    pub(crate) fn reads(&self) -> usize {
        self.state().reads
    }

    /// Whether all that was to fail did.
    pub(crate) fn is_used_up(&self) -> bool {
        let plan = &self.state().plan;
        plan.syncs == 0 && plan.full == 0 && plan.torn == 0
    }

    /// Takes away what failed syncs have lost. The store must be closed.
    pub(crate) fn crash(&self) {
        for (file, offset, length) in self.state().lost.drain(..) {
            if offset < file.length().expect("a length") {
                file.write_at(&vec![0; length], offset).expect("zeros");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while locked")
    }

    fn wrap(&self, real: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        let path = path.to_string_lossy().into_owned();
        Arc::new(FaultyFile { real, path, disk: self.clone(), unsynced: Mutex::default(), torn: Mutex::default() })
    }
}

fn use_up(count: &mut u32) -> bool {
    let left = *count > 0;
    if left && *count != u32::MAX {
        *count -= 1;
    }
    left
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.create(path)?, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open(path)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.state().reads += 1;
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let mut length = bytes.len();
        if self.path.contains(state.plan.path) && !use_up(&mut state.plan.after_writes) {
            let mut torn = self.torn.lock().expect("no panic while locked");
            if *torn {
                return Err(io::Error::from_raw_os_error(5));
            }
            if use_up(&mut state.plan.full) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if length > 1 && use_up(&mut state.plan.torn) {
                length /= 2;
                *torn = true;
            }
        }
        self.unsynced.lock().expect("no panic while locked").push((offset, length));
        self.real.write_at(&bytes[..length], offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let unsynced = std::mem::take(&mut *self.unsynced.lock().expect("no panic while locked"));
        if self.path.contains(state.plan.path) && state.plan.after_writes == 0 && use_up(&mut state.plan.syncs) {
            state.lost.extend(unsynced.into_iter().map(|(offset, length)| (self.real.clone(), offset, length)));
            return Err(io::Error::from_raw_os_error(5));
        }
        self.real.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        if self.path.contains(state.plan.path) && state.plan.after_writes == 0 && use_up(&mut state.plan.full) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.real.allocate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.real.truncate(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        self.real.length()
    }

    fn written_at(&self) -> io::Result<i64> {
        self.real.written_at()
    }
}
