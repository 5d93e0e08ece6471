//! The files of the floor's log: preallocated and never overwritten, as the server's journal.

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Size of a segment, as in the server's default settings.
const SEGMENT_BYTES: u64 = 64 * 1_024 * 1_024;
/// Number of segments that are kept. Older ones are removed, so that a long run does not fill the disk.
const KEPT: usize = 16;

/// The segments that exist. The newest is appended to.
pub(super) struct Segments {
    directory: PathBuf,
    segment_bytes: u64,
    names: VecDeque<PathBuf>,
    created: u64,
    file: File,
    end: u64,
    capacity: u64,
}

impl Segments {
    /// Creates the first segment in a directory.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        Self::with_size(directory, SEGMENT_BYTES)
    }

    fn with_size(directory: &Path, segment_bytes: u64) -> Result<Self> {
        let path = segment_path(directory, 0);
        let file = allocate(&path, segment_bytes)
            .with_context(|| format!("could not make a segment in `{}`", directory.display()))?;
        Ok(Self {
            directory: directory.to_owned(),
            segment_bytes,
            names: VecDeque::from([path]),
            created: 1,
            file,
            end: 0,
            capacity: segment_bytes,
        })
    }

    /// Appends bytes and syncs them. Bytes that do not fit into the newest segment start the next one.
    ///
    /// # Errors
    /// The bytes could not be written or synced.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u64;
        if self.end + length > self.capacity {
            self.next(length)?;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end += length;
        Ok(())
    }

    fn next(&mut self, at_least: u64) -> io::Result<()> {
        let path = segment_path(&self.directory, self.created);
        let capacity = at_least.max(self.segment_bytes);
        self.file = allocate(&path, capacity)?;
        self.names.push_back(path);
        (self.created, self.end, self.capacity) = (self.created + 1, 0, capacity);
        if self.names.len() > KEPT {
            self.names.pop_front().map_or(Ok(()), fs::remove_file)?;
        }
        Ok(())
    }
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.segment"))
}

fn allocate(path: &Path, bytes: u64) -> io::Result<File> {
    let file = File::options().write(true).create_new(true).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP) => file.set_len(bytes)?,
        other => other?,
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_in_the_segments_in_order_and_old_segments_are_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut segments = Segments::with_size(directory.path(), 100).expect("created");
        for number in 0..40_u8 {
            segments.append(&[number + 1; 60]).expect("appended");
        }
        segments.append(&[99; 250]).expect("more than a segment");
        let mut paths: Vec<_> = fs::read_dir(directory.path()).expect("a list").flatten().map(|it| it.path()).collect();
        paths.sort();
        assert_eq!(paths.len(), KEPT);
        let first_bytes = paths.iter().map(|path| fs::read(path).expect("a segment")[0]);
        let expected: Vec<u8> = (26..=40).chain([99]).collect();
        assert_eq!(first_bytes.collect::<Vec<_>>(), expected);
    }
}
