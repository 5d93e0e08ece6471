//! Disk usage of a data directory.

use serde::Serialize;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The folder of the journal, whose files are preallocated.
pub(crate) const JOURNAL: &str = "journal";
/// The unit of `st_blocks` on every file system.
pub(crate) const BLOCK: u64 = 512;
/// Number of bytes to read at a time.
const PIECE: u64 = 1_024 * 1_024;

/// Bytes in a directory and its subdirectories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DiskUsage {
    /// Sum of the files' lengths.
    pub(crate) logical: u64,
    /// Sum of the files' allocated blocks.
    pub(crate) allocated: u64,
    /// Allocated blocks without the unwritten part of the journal's preallocated files.
    pub(crate) used: u64,
    /// The journal's share of `used`.
    pub(crate) journal: u64,
}

impl DiskUsage {
    /// Adds up all files in a folder and its subfolders, except those directly in it whose name is in `without`.
    pub(crate) fn below(folder: &Path, without: &[&str]) -> Self {
        let mut usage = Self::default();
        usage.add(folder, without, false);
        usage
    }

    /// Adds up the allocated blocks of all files in a folder and its subfolders, without reading the files.
    pub(crate) fn allocated_below(folder: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        let sizes = entries.flatten().map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => Self::allocated_below(&entry.path()),
            Ok(metadata) => metadata.blocks() * BLOCK,
            Err(_) => 0,
        });
        sizes.sum()
    }

    /// Returns the growth since an earlier measurement.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            logical: self.logical.saturating_sub(before.logical),
            allocated: self.allocated.saturating_sub(before.allocated),
            used: self.used.saturating_sub(before.used),
            journal: self.journal.saturating_sub(before.journal),
        }
    }

    fn add(&mut self, folder: &Path, without: &[&str], in_journal: bool) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                self.add(&path, &[], in_journal || name == JOURNAL);
            } else if !without.iter().any(|left_out| name == *left_out) {
                self.add_file(&path, &metadata, in_journal);
            }
        }
    }

    fn add_file(&mut self, path: &Path, metadata: &Metadata, in_journal: bool) {
        let allocated = metadata.blocks() * BLOCK;
        self.logical += metadata.len();
        self.allocated += allocated;
        let used = if in_journal { allocated.min(written(path, metadata.len())) } else { allocated };
        self.used += used;
        self.journal += if in_journal { used } else { 0 };
    }
}

/// Returns the length up to the last byte that is not 0, or the file's whole length if it cannot be read.
pub(crate) fn written(path: &Path, length: u64) -> u64 {
    let Ok(file) = File::open(path) else { return length };
    let mut piece = vec![0; PIECE as usize];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let bytes = &mut piece[..(end - start) as usize];
        if file.read_exact_at(bytes, start).is_err() {
            return length;
        }
        if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
            return start + last as u64 + 1;
        }
        end = start;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preallocated_and_empty_is_not_used() {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join(JOURNAL)).expect("made");
        let segment = File::create(folder.path().join(JOURNAL).join("1")).expect("made");
        segment.write_all_at(&vec![7; 3 * PIECE as usize], 0).expect("written");
        segment.write_all_at(&vec![0; 2 * PIECE as usize], 3 * PIECE).expect("written");
        fs::write(folder.path().join("db"), vec![0; 8_192]).expect("written");
        fs::write(folder.path().join("log"), "left out").expect("written");
        let usage = DiskUsage::below(folder.path(), &["log"]);
        assert_eq!(usage.logical, 5 * PIECE + 8_192);
        assert_eq!(usage.journal, 3 * PIECE);
        assert_eq!(usage.allocated - usage.used, 2 * PIECE);
        let nothing = DiskUsage::default();
        assert_eq!((usage.since(usage), nothing.since(usage)), (nothing, nothing));
    }
}
