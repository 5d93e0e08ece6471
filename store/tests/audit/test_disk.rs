//! A disk that can be held up, and that knows what a power cut would leave.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use store::disk::{Disk, DiskDirectory, DiskFile, RealDisk};

/// The disk. Syncs only note what would be durable.
#[derive(Clone, Default)]
pub(crate) struct TestDisk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Syncs of files whose path has this text wait.
    held: Option<&'static str>,
    /// Number of syncs that wait.
    waiting: usize,
    /// The length that each file was synced with.
    synced: HashMap<PathBuf, u64>,
    /// The greatest number of bytes that a file had beyond that.
    most_unsynced: u64,
}

struct TestFile {
    real: Arc<dyn DiskFile>,
    path: PathBuf,
    disk: TestDisk,
}

impl TestDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic while locked")
    }

    /// Holds up the syncs of files whose path has this text, until [`Self::release`].
    pub(crate) fn hold(&self, text: &'static str) {
        self.state().held = Some(text);
    }

    pub(crate) fn release(&self) {
        self.state().held = None;
        self.0.changed.notify_all();
    }

    /// Waits until a sync is held up.
    pub(crate) fn wait_until_held(&self) {
        let state = self.state();
        drop(self.0.changed.wait_while(state, |state| state.waiting == 0).expect("no panic while locked"));
    }

    /// Returns the greatest number of bytes that a file had beyond those that were synced.
    pub(crate) fn most_unsynced(&self) -> u64 {
        self.state().most_unsynced
    }

    /// Copies a directory as a power cut would leave it now: of what was not synced, a share of `kept` in 8 remains. If
    /// `kept` is odd, files have their whole length, with zeros.
    pub(crate) fn power_cut(&self, from: &Path, to: &Path, kept: u64) {
        // Nothing is written meanwhile.
        let state = self.state();
        fs::create_dir_all(to).expect("a folder");
        for item in fs::read_dir(from).expect("a folder") {
            let path = item.expect("an item").path();
            let copy = to.join(path.file_name().expect("a name"));
            fs::copy(&path, &copy).expect("a copy");
            let length = copy.metadata().expect("a file").len();
            let synced = state.synced.get(&path).copied().unwrap_or(length).min(length);
            let left = synced + (length - synced) * kept / 8;
            let copy = File::options().write(true).open(&copy).expect("a copy");
            copy.set_len(left).expect("cut");
            if kept % 2 == 1 {
                copy.set_len(length).expect("zeros");
            }
        }
    }

    fn wrap(&self, real: Arc<dyn DiskFile>, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(TestFile { real, path: path.to_owned(), disk: self.clone() })
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let file = RealDisk.create(path)?;
        state.synced.insert(path.to_owned(), 0);
        Ok(self.wrap(file, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = RealDisk.open(path)?;
        let length = file.length()?;
        self.state().synced.entry(path.to_owned()).or_insert(length);
        Ok(self.wrap(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        RealDisk.rename(from, to)?;
        if let Some(synced) = state.synced.remove(from) {
            state.synced.insert(to.to_owned(), synced);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.synced.remove(path);
        RealDisk.remove(path)
    }

    fn directory(&self, _: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(TestDirectory))
    }
}

/// A directory whose names are durable at once.
struct TestDirectory;

impl DiskDirectory for TestDirectory {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for TestFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let count = self.real.write_at(bytes, offset)?;
        let synced = state.synced.get(&self.path).copied().unwrap_or(0);
        state.most_unsynced = state.most_unsynced.max((offset + count as u64).saturating_sub(synced));
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let is_held = |state: &State| state.held.is_some_and(|text| self.path.to_string_lossy().contains(text));
        if is_held(&state) {
            state.waiting += 1;
            self.disk.0.changed.notify_all();
            state = self.disk.0.changed.wait_while(state, |state| is_held(state)).expect("no panic while locked");
            state.waiting -= 1;
        }
        let length = self.real.length()?;
        state.synced.insert(self.path.clone(), length);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.real.allocate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.synced.entry(self.path.clone()).and_modify(|synced| *synced = bytes.min(*synced));
        self.real.truncate(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        self.real.length()
    }

    fn written_at(&self) -> io::Result<i64> {
        self.real.written_at()
    }
}
