//! The names of the files of the audit log.
//!
//! | name | content |
//! |---|---|
//! | `compliance-2026-11.log` | a segment: a header line, then an entry a line |
//! | `compliance-2026-11.index` | the index of a closed segment |
//! | `compliance-2026-11.run-00001` | a run: a part of the index, until the segment is closed |
//! | `compliance-2026-11.stub` | what is left of a segment that was removed for its age, signed |
//! | `compliance-2026-11.torn-4711` | bytes that were cut off at offset 4711 at start-up: a write that a crash had interrupted |
//! | `tree.nodes` | the nodes of the Merkle tree |
//! | `heads-2026-11.log` | signed tree heads, one a line |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::port::audit::AuditCategory;

use super::month::Month;
use crate::disk::{Disk, DiskDirectory, DiskFile};

/// The directory in the data directory.
pub(crate) const DIRECTORY: &str = "audit";

/// The file of the tree's nodes.
pub(super) const NODES_FILE: &str = "tree.nodes";

/// The name of an index that is being written.
const NEW_INDEX: &str = "index.tmp";

/// The directory of the log.
#[derive(Clone)]
pub(super) struct AuditFiles {
    pub(super) disk: Arc<dyn Disk>,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
}

impl AuditFiles {
    /// Opens the directory at `path`, which exists.
    pub(super) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let directory = disk.directory(&path)?;
        Ok(Self { disk, path, directory })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn segment(&self, category: AuditCategory, month: Month) -> PathBuf {
        self.path.join(format!("{}-{month}.log", category.name()))
    }

    pub(super) fn index(&self, category: AuditCategory, month: Month) -> PathBuf {
        self.path.join(format!("{}-{month}.index", category.name()))
    }

    pub(super) fn run(&self, category: AuditCategory, month: Month, number: u32) -> PathBuf {
        self.path.join(format!("{}-{month}.run-{number:05}", category.name()))
    }

    pub(super) fn stub(&self, category: AuditCategory, month: Month) -> PathBuf {
        self.path.join(format!("{}-{month}.stub", category.name()))
    }

    pub(super) fn torn(&self, category: AuditCategory, month: Month, offset: u64) -> PathBuf {
        self.path.join(format!("{}-{month}.torn-{offset}", category.name()))
    }

    pub(super) fn nodes(&self) -> PathBuf {
        self.path.join(NODES_FILE)
    }

    pub(super) fn heads(&self, month: Month) -> PathBuf {
        self.path.join(format!("heads-{month}.log"))
    }

    /// Returns the months of the files `{prefix}-{month}{ending}`, the oldest first.
    pub(super) fn months(&self, prefix: &str, ending: &str) -> io::Result<Vec<Month>> {
        months(&self.path, prefix, ending)
    }

    /// Returns the numbers of the runs of a segment in ascending order.
    pub(super) fn runs(&self, category: AuditCategory, month: Month) -> io::Result<Vec<u32>> {
        let start = format!("{}-{month}.run-", category.name());
        let numbers = names(&self.path)?;
        let mut numbers: Vec<u32> = numbers.iter().filter_map(|name| name.strip_prefix(&start)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Writes a whole file, which appears under its name when it is durable.
    pub(super) fn write_file(&self, path: &Path, content: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
        let new = self.path.join("new.tmp");
        let file = self.disk.create(&new)?;
        crate::disk::write_all_at(&*file, content, 0).map_err(|failed| failed.source)?;
        file.sync_data()?;
        self.disk.rename(&new, path)?;
        self.sync_names()?;
        self.disk.open(path)
    }

    /// Creates the file that an index is written to before it gets its name. Only the thread that writes indexes has one.
    pub(super) fn create_index(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(&self.path.join(NEW_INDEX))
    }

    /// Gives the file of [`Self::create_index`] its name, durably.
    pub(super) fn publish_index(&self, path: &Path) -> io::Result<()> {
        self.disk.rename(&self.path.join(NEW_INDEX), path)?;
        self.sync_names()
    }

    /// Removes the file of [`Self::create_index`], if it is there.
    pub(super) fn discard_index(&self) -> io::Result<()> {
        self.remove(&self.path.join(NEW_INDEX))
    }

    /// Removes a file. Its name is gone for good after [`Self::sync_names`].
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Makes the names of new and removed files durable.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        self.directory.sync()
    }
}

/// Returns the months of the files `{prefix}-{month}{ending}` in a directory, the oldest first.
pub(super) fn months(directory: &Path, prefix: &str, ending: &str) -> io::Result<Vec<Month>> {
    let names = names(directory)?;
    let month = |name: &String| Month::parse(name.strip_prefix(prefix)?.strip_prefix('-')?.strip_suffix(ending)?);
    let mut months: Vec<Month> = names.iter().filter_map(month).collect();
    months.sort_unstable();
    Ok(months)
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    entries.collect()
}
