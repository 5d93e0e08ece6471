//! A disk that fails on demand. A failed sync loses the writes that it was to sync, as on Linux: they can still be read
//! until a crash, and are gone after it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use store::disk::{Disk, DiskDirectory, DiskFile, RealDisk};

/// What fails. Each number counts down with each failure; [`u32::MAX`] fails for ever.
#[derive(Debug, Default, Clone)]
pub(crate) struct FaultPlan {
    /// Only files whose path contains this text fail.
    pub(crate) path: &'static str,
    /// This many syncs fail.
    pub(crate) syncs: u32,
    /// This many writes and allocations find the disk full.
    pub(crate) full: u32,
    /// This many writes stop halfway, and every later write to the file fails.
    pub(crate) torn: u32,
    /// This many writes stop halfway, and the next write to the file finds the disk full.
    pub(crate) short: u32,
    /// No disk space can be allocated.
    pub(crate) no_space: bool,
    /// The removal of a file frees disk space again.
    pub(crate) space_by_removal: bool,
    /// No file can be removed.
    pub(crate) no_removal: bool,
    /// This many syncs of a directory fail.
    pub(crate) name_syncs: u32,
    /// A failed sync loses whole pages, including what earlier syncs had made durable in them.
    pub(crate) loses_pages: bool,
    /// This many writes succeed before anything fails.
    pub(crate) after_writes: u32,
}

const PAGE_BYTES: u64 = 4096;

/// The failing disk.
#[derive(Clone, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    plan: FaultPlan,
    reads: usize,
    /// The paths of the files that were synced.
    synced: Vec<String>,
    lost: Vec<Lost>,
}

/// A range of a file that is lost in a crash.
struct Lost {
    file: Arc<dyn DiskFile>,
    offset: u64,
    length: u64,
}

struct FaultyFile {
    real: Arc<dyn DiskFile>,
    path: String,
    disk: FaultyDisk,
    unsynced: Mutex<Vec<(u64, usize)>>,
    torn: Mutex<bool>,
    full: Mutex<bool>,
}

impl FaultyDisk {
    pub(crate) fn set(&self, plan: FaultPlan) {
        self.state().plan = plan;
    }

    /// Returns how many reads there were.
    pub(crate) fn reads(&self) -> usize {
        self.state().reads
    }

    /// Returns how often files whose path contains `path` were synced.
    pub(crate) fn syncs(&self, path: &str) -> usize {
        self.state().synced.iter().filter(|synced| synced.contains(path)).count()
    }

    /// Returns whether everything that was to fail has failed.
    pub(crate) fn is_used_up(&self) -> bool {
        let plan = &self.state().plan;
        plan.syncs == 0 && plan.full == 0 && plan.torn == 0 && plan.short == 0 && plan.name_syncs == 0
    }

    /// Overwrites what failed syncs have lost with zeros. The store must be closed.
    pub(crate) fn crash(&self) {
        for Lost { file, offset, length } in self.state().lost.drain(..) {
            let end = (offset + length).min(file.length().expect("a length"));
            if offset < end {
                file.write_at(&vec![0; (end - offset) as usize], offset).expect("zeros");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().expect("no panic while locked")
    }

    fn wrap(&self, real: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        let path = path.to_string_lossy().into_owned();
        let (disk, unsynced) = (self.clone(), Mutex::default());
        Arc::new(FaultyFile { real, path, disk, unsynced, torn: Mutex::default(), full: Mutex::default() })
    }
}

fn use_up(count: &mut u32) -> bool {
    let left = *count > 0;
    if left && *count != u32::MAX {
        *count -= 1;
    }
    left
}

/// Returns where a write starts and ends, or where its pages do if `whole`.
fn pages(offset: u64, length: usize, whole: bool) -> (u64, u64) {
    let end = offset + length as u64;
    if whole { (offset / PAGE_BYTES * PAGE_BYTES, end.next_multiple_of(PAGE_BYTES)) } else { (offset, end) }
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
        let plan = &mut self.state().plan;
        if plan.no_removal && path.to_string_lossy().contains(plan.path) {
            return Err(io::Error::from_raw_os_error(5));
        }
        RealDisk.remove(path)?;
        plan.no_space &= !plan.space_by_removal;
        Ok(())
    }

    fn directory(&self, path: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        let path_text = path.to_string_lossy().into_owned();
        Ok(Arc::new(FaultyDirectory { real: RealDisk.directory(path)?, path: path_text, disk: self.clone() }))
    }
}

struct FaultyDirectory {
    real: Arc<dyn DiskDirectory>,
    path: String,
    disk: FaultyDisk,
}

impl DiskDirectory for FaultyDirectory {
    fn sync(&self) -> io::Result<()> {
        let plan = &mut self.disk.state().plan;
        if self.path.contains(plan.path) && use_up(&mut plan.name_syncs) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.real.sync()
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
            if std::mem::take(&mut *self.full.lock().expect("no panic while locked")) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if length > 1 && use_up(&mut state.plan.short) {
                length /= 2;
                *self.full.lock().expect("no panic while locked") = true;
            } else if length > 1 && use_up(&mut state.plan.torn) {
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
            let whole = state.plan.loses_pages;
            let lost = |(offset, length)| {
                let (start, end) = pages(offset, length, whole);
                Lost { file: self.real.clone(), offset: start, length: end - start }
            };
            state.lost.extend(unsynced.into_iter().map(lost));
            return Err(io::Error::from_raw_os_error(5));
        }
        state.synced.push(self.path.clone());
        // A page that was written again and synced is durable as a whole.
        for (offset, length) in unsynced {
            let (start, end) = pages(offset, length, true);
            state.lost.retain(|lost| {
                !Arc::ptr_eq(&lost.file, &self.real) || lost.offset >= end || lost.offset + lost.length <= start
            });
        }
        self.real.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let concerned = self.path.contains(state.plan.path) && state.plan.after_writes == 0;
        if concerned && (state.plan.no_space || use_up(&mut state.plan.full)) {
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
