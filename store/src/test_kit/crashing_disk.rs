//! A disk that loses power after a number of operations. What was not synced by then may be lost, page by page, and names
//! that were not synced may be lost in the order in which they were changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::disk::{Disk, DiskDirectory, DiskFile, RealDisk, read_full_at};

const PAGE_BYTES: u64 = 4096;

/// The disk. It is shared by all files of a test.
#[derive(Clone)]
pub(crate) struct CrashingDisk(Arc<Mutex<DiskState>>);

struct DiskState {
    /// Operations until the power fails.
    left: u64,
    random: StdRng,
    files: Vec<OpenFile>,
    /// Changes of names since the last sync of the directory.
    names: Vec<NameChange>,
    removed: u32,
    /// Syncs of names until one fails; 0 for never.
    fails_name_sync: u32,
}

struct OpenFile {
    real: Arc<dyn DiskFile>,
    /// The durable content of each page that was written since the last sync.
    durable: BTreeMap<u64, Vec<u8>>,
}

enum NameChange {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf },
    Removed { path: PathBuf, kept: PathBuf },
}

struct CrashingFile {
    disk: CrashingDisk,
    number: usize,
    real: Arc<dyn DiskFile>,
}

struct CrashingDirectory(CrashingDisk);

impl CrashingDisk {
    /// Returns a disk that loses power after `operations` operations that change something; `u64::MAX` for never.
    pub(crate) fn new(operations: u64, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(DiskState {
            left: operations,
            random,
            files: Vec::new(),
            names: Vec::new(),
            removed: 0,
            fails_name_sync: 0,
        })))
    }

    /// Makes the sync of names fail that comes after this many others, once.
    pub(crate) fn fail_name_sync_after(&self, others: u32) {
        self.0.lock().fails_name_sync = others + 1;
    }

    /// Returns how many operations there were on a disk that never loses power.
    pub(crate) fn operations(&self) -> u64 {
        u64::MAX - self.0.lock().left
    }

    /// Whether the power has failed.
    pub(crate) fn has_crashed(&self) -> bool {
        self.0.lock().left == 0
    }

    /// Brings the files into a state in which a power cut could leave them. Everything that uses them must have ended.
    pub(crate) fn crash(&self) {
        let state = &mut *self.0.lock();
        state.left = 0;
        for file in &mut state.files {
            for (page, content) in std::mem::take(&mut file.durable) {
                if state.random.random_bool(0.5) {
                    let mut whole = content;
                    whole.resize(PAGE_BYTES as usize, 0);
                    file.real.write_at(&whole, page * PAGE_BYTES).expect("the page before");
                }
            }
        }
        let durable = state.random.random_range(0..=state.names.len());
        for change in state.names.drain(durable..).rev() {
            match change {
                NameChange::Created(path) => fs::remove_file(path).expect("removed"),
                NameChange::Renamed { from, to } => fs::rename(to, from).expect("renamed"),
                NameChange::Removed { path, kept } => fs::rename(kept, path).expect("restored"),
            }
        }
    }

    /// Counts an operation that changes something.
    fn begin(&self) -> io::Result<MutexGuard<'_, DiskState>> {
        let mut state = self.0.lock();
        if state.left == 0 {
            return Err(io::Error::other("the power has failed"));
        }
        state.left -= 1;
        Ok(state)
    }

    fn wrap(&self, real: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let mut state = self.0.lock();
        state.files.push(OpenFile { real: Arc::clone(&real), durable: BTreeMap::new() });
        Arc::new(CrashingFile { disk: self.clone(), number: state.files.len() - 1, real })
    }
}

impl Disk for CrashingDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin()?;
        assert!(!path.exists(), "nothing is written over a file that is there");
        let file = RealDisk.create(path)?;
        state.names.push(NameChange::Created(path.to_owned()));
        drop(state);
        Ok(self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin()?;
        assert!(!to.exists(), "a name that is replaced would lose the file that had it");
        RealDisk.rename(from, to)?;
        state.names.push(NameChange::Renamed { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin()?;
        state.removed += 1;
        let directory = path.parent().and_then(Path::parent).expect("a directory above");
        let kept = directory.join(format!("removed-{}", state.removed));
        RealDisk.rename(path, &kept)?;
        state.names.push(NameChange::Removed { path: path.to_owned(), kept });
        Ok(())
    }

    fn directory(&self, _: &Path) -> io::Result<Arc<dyn DiskDirectory>> {
        Ok(Arc::new(CrashingDirectory(self.clone())))
    }
}

impl DiskDirectory for CrashingDirectory {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.begin()?;
        let left = state.fails_name_sync;
        state.fails_name_sync = left.saturating_sub(1);
        if left == 1 {
            return Err(io::Error::other("the names could not be synced"));
        }
        state.names.clear();
        Ok(())
    }
}

impl DiskFile for CrashingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.real.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.begin()?;
        let pages = offset / PAGE_BYTES..(offset + bytes.len() as u64).div_ceil(PAGE_BYTES);
        let durable = &mut state.files[self.number].durable;
        for page in pages {
            if let std::collections::btree_map::Entry::Vacant(e) = durable.entry(page) {
                let mut content = vec![0; PAGE_BYTES as usize];
                let filled = read_full_at(&*self.real, &mut content, page * PAGE_BYTES)?;
                content.truncate(filled);
                e.insert(content);
            }
        }
        self.real.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.begin()?.files[self.number].durable.clear();
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
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
