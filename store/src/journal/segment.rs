//! The journal's segment files: preallocated, never reused, each saying where the one before it ends.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::port::store::StoreError;
use parking_lot::{Mutex, RwLock};

use super::frame;
use super::position::Position;
use super::segment_header::{MovedGroup, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentHeaderFault};
use crate::disk::{Disk, DiskDirectory, DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::reserve::SpaceLock;

/// The file that becomes the next segment.
pub(crate) const NEW_FILE_NAME: &str = "next.new";
/// Bytes of the first read of a frame. Most frames are shorter.
const READ_BYTES: usize = 1024;

/// The segments that exist. One thread appends to the newest; any thread reads.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    directory: Arc<dyn DiskDirectory>,
    epoch: u64,
    /// A file that is allocated ahead, so that the next segment needs neither disk space nor a descriptor. It gets its
    /// header and its number when it is needed.
    prepared: Mutex<Option<PreparedSegment>>,
    space: SpaceLock,
    files: RwLock<BTreeMap<u32, Arc<dyn DiskFile>>>,
    /// All segments before this one are in a checkpoint and are kept only for followers.
    folded_before: AtomicU32,
}

struct PreparedSegment {
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

/// The segment that groups are appended to.
pub(crate) struct OpenSegment {
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next group goes.
    pub(crate) end: Position,
    /// The preallocated size in bytes.
    pub(crate) capacity: u64,
}

/// How much is kept of the segments that are in a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentRetention {
    /// Maximum number of bytes to keep.
    pub(crate) bytes: u64,
    /// Segments that were last written before this time are removed. Microseconds since the Unix epoch.
    pub(crate) since: i64,
}

impl SegmentRetention {
    /// Nothing is kept.
    pub(crate) const NONE: Self = Self { bytes: 0, since: i64::MAX };
}

/// A segment to read from.
pub(crate) struct ReadableSegment {
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where its valid bytes end, if the header of a next segment gives that.
    pub(crate) end: Option<u32>,
    pub(crate) moved: MovedGroup,
}

impl Segments {
    /// Returns the segments in the directory at `path`. None is open yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf, epoch: u64, space: SpaceLock) -> io::Result<Self> {
        let directory = disk.directory(&path)?;
        let (prepared, files) = (Mutex::default(), RwLock::default());
        Ok(Self { disk, path, directory, epoch, prepared, space, files, folded_before: AtomicU32::new(0) })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Opens an existing segment.
    pub(crate) fn open(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.segment_path(number))?;
        self.files.write().insert(number, file.clone());
        Ok(file)
    }

    /// Creates a segment that starts with `first`. It is durable, with these bytes, before its name appears.
    pub(crate) fn create(
        &self,
        number: u32,
        previous_end: u32,
        bytes: u64,
        first: &[u8],
    ) -> io::Result<Arc<dyn DiskFile>> {
        self.create_with(number, previous_end, bytes, first, MovedGroup::NONE)
    }

    /// Creates a segment that starts with the group `first`, which start-up moved there if `moved` is not empty.
    pub(crate) fn create_with(
        &self,
        number: u32,
        previous_end: u32,
        bytes: u64,
        first: &[u8],
        moved: MovedGroup,
    ) -> io::Result<Arc<dyn DiskFile>> {
        // Locked until the file has its number: the next one is prepared under the same name.
        let mut prepared = self.prepared.lock();
        let mut _space = None;
        if prepared.as_ref().is_none_or(|made| made.bytes < bytes) {
            // This takes disk space, which may be what the reserve gave up for sled. The upkeep thread takes the two locks
            // in the same order.
            drop(prepared);
            _space = Some(self.space.lock());
            prepared = self.prepared.lock();
        }
        let file = self.take_prepared(&mut prepared, bytes)?;
        let header = SegmentHeader { epoch: self.epoch, number, previous_end, moved };
        let start = [&header.encode(), first].concat();
        let made = write_all_at(&*file, &start, 0).map_err(|WriteFailed { source, .. }| source);
        if let Err(error) = made.and_then(|()| file.sync_data()) {
            // Frees the space. If that fails, too, the next start-up removes the file.
            let _ = self.disk.remove(&self.new_path());
            return Err(error);
        }
        self.disk.rename(&self.new_path(), &self.segment_path(number))?;
        self.directory.sync()?;
        self.files.write().insert(number, file.clone());
        Ok(file)
    }

    /// Takes the prepared file, or creates one, with room for `bytes` bytes.
    fn take_prepared(&self, prepared: &mut Option<PreparedSegment>, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let Some(made) = prepared.take() else { return self.allocate(bytes) };
        if made.bytes < bytes
            && let Err(error) = made.file.allocate(bytes)
        {
            *prepared = Some(made);
            return Err(error);
        }
        Ok(made.file)
    }

    /// Removes a segment whose creation failed, in case its name has appeared. Durable when it returns.
    pub(crate) fn take_back(&self, number: u32) -> io::Result<()> {
        match self.disk.remove(&self.segment_path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.directory.sync()
    }

    /// Allocates the file of the next segment ahead, unless that was done already.
    pub(crate) fn prepare(&self, bytes: u64) -> io::Result<()> {
        let mut prepared = self.prepared.lock();
        if prepared.is_none() {
            let file = self.allocate(bytes)?;
            if let Err(error) = file.sync_data() {
                let _ = self.disk.remove(&self.new_path());
                return Err(error);
            }
            *prepared = Some(PreparedSegment { file, bytes });
        }
        Ok(())
    }

    /// Tests whether the disk takes writes, by writing zeros to the prepared file.
    pub(crate) fn try_write(&self) -> io::Result<()> {
        let mut prepared = self.prepared.lock();
        let Some(made) = &*prepared else { return Ok(()) };
        let written = write_all_at(&*made.file, &[0; SEGMENT_HEADER_BYTES as usize], 0);
        let synced = written.map_err(|WriteFailed { source, .. }| source).and_then(|()| made.file.sync_data());
        if synced.is_err() {
            // A file whose sync failed is not to be trusted.
            *prepared = None;
            let _ = self.disk.remove(&self.new_path());
        }
        synced
    }

    /// Creates a file with room for `bytes` bytes.
    fn allocate(&self, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(&self.new_path())?;
        if let Err(error) = file.allocate(bytes) {
            let _ = self.disk.remove(&self.new_path());
            return Err(error);
        }
        Ok(file)
    }

    pub(super) fn newest(&self) -> Option<Arc<dyn DiskFile>> {
        self.files.read().values().next_back().cloned()
    }

    /// Returns the number of the oldest segment.
    pub(crate) fn oldest(&self) -> u32 {
        self.files.read().keys().next().copied().unwrap_or(1)
    }

    /// Reads the bytes at `position`: those of the frame there, and maybe some behind it. Returns `None` if the segment
    /// was removed after a checkpoint.
    pub(crate) fn fetch(&self, position: Position) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.files.read().get(&position.segment).cloned() else { return Ok(None) };
        let bytes = read_frame(&*file, position.offset.into());
        let failed =
            |source: io::Error| StoreError::Unavailable { doing: "reading the journal", source: source.into() };
        bytes.map(Some).map_err(failed)
    }

    /// Returns a segment to read from; `None` if there is none with this number.
    pub(crate) fn readable(&self, number: u32) -> Result<Option<ReadableSegment>, SegmentHeaderFault> {
        let (file, next) = {
            let files = self.files.read();
            let Some(file) = files.get(&number) else { return Ok(None) };
            (file.clone(), files.get(&(number + 1)).cloned())
        };
        let end = next.map(|next| SegmentHeader::read(&*next).map(|header| header.previous_end)).transpose()?;
        let moved = SegmentHeader::read(&*file)?.moved;
        Ok(Some(ReadableSegment { file, end, moved }))
    }

    /// Records that all segments before `number` are in a checkpoint.
    pub(crate) fn set_folded(&self, number: u32) {
        self.folded_before.store(number, Ordering::Relaxed);
    }

    /// Removes segments that are in a checkpoint, oldest first, until the rest fits `keep`. Returns whether any was
    /// removed.
    pub(crate) fn remove_folded(&self, keep: SegmentRetention) -> io::Result<bool> {
        let number = self.folded_before.load(Ordering::Relaxed);
        let mut any = false;
        let old: Vec<_> = self.files.read().range(..number).map(|(number, file)| (*number, file.clone())).collect();
        let mut excess = 0;
        for (_, file) in &old {
            excess += file.length()?;
        }
        for (number, file) in old {
            if excess <= keep.bytes && file.written_at()? >= keep.since {
                break;
            }
            excess -= file.length()?;
            // The checkpoint thread and the commit thread may both be here.
            if self.files.write().remove(&number).is_some() {
                if let Err(error) = self.disk.remove(&self.segment_path(number)) {
                    // No newer segment is removed before it: a follower that starts there would meet a gap.
                    self.files.write().insert(number, file);
                    return Err(error);
                }
                any = true;
            }
        }
        Ok(any)
    }

    /// Returns about how many bytes of groups are between two positions.
    pub(crate) fn bytes_between(&self, from: Position, to: Position) -> io::Result<u64> {
        let mut bytes = behind_header(u64::from(to.offset));
        for (_, file) in self.files.read().range(from.segment.min(to.segment)..to.segment) {
            bytes += behind_header(file.length()?);
        }
        Ok(bytes.saturating_sub(behind_header(u64::from(from.offset))))
    }

    /// Returns the number of bytes that all segments take on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.read().values().map(|file| file.length().unwrap_or(0)).sum()
    }

    /// Returns the numbers of the segments in a directory, ascending. Removes the file of a segment that was never
    /// finished.
    pub(crate) fn list(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name == NEW_FILE_NAME {
                disk.remove(&directory.join(NEW_FILE_NAME))?;
            } else if let Some(number) = name.strip_suffix(".segment").and_then(|number| number.parse().ok()) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn segment_path(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number:010}.segment"))
    }

    fn new_path(&self) -> PathBuf {
        self.path.join(NEW_FILE_NAME)
    }
}

/// Reads the frame at `offset`, and what the first read finds behind it.
fn read_frame(file: &dyn DiskFile, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; READ_BYTES];
    let mut filled = read_full_at(file, &mut bytes, offset)?;
    let length = frame::claimed_length(&bytes[..filled]);
    // A damaged length must not make this allocate more than the file has.
    if length > filled && filled == READ_BYTES && length as u64 <= file.length()?.saturating_sub(offset) {
        bytes.resize(length, 0);
        filled += read_full_at(file, &mut bytes[READ_BYTES..], offset + READ_BYTES as u64)?;
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn behind_header(offset: u64) -> u64 {
    offset.saturating_sub(u64::from(SEGMENT_HEADER_BYTES))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::disk::RealDisk;

    const SEGMENT_BYTES: u64 = 16_384;

    #[test]
    fn a_segment_that_was_not_prepared_waits_while_sled_needs_the_space() {
        let dir = tempfile::tempdir().expect("a directory");
        let space = SpaceLock::default();
        let segments = Segments::new(Arc::new(RealDisk), dir.path().to_owned(), 1, space.clone()).expect("a journal");
        segments.prepare(SEGMENT_BYTES).expect("prepared");
        let held = space.lock();
        segments.create(1, 0, SEGMENT_BYTES, &[]).expect("it takes no space");
        let (sender, made) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(segments.create(2, SEGMENT_HEADER_BYTES, SEGMENT_BYTES, &[]).is_ok()));
            made.recv_timeout(Duration::from_millis(50)).expect_err("it waits");
            drop(held);
            assert_eq!(made.recv(), Ok(true));
        });
    }
}
