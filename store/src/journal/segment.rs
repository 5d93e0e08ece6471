//! The journal's files: preallocated, always fresh, each saying where the one before it ended.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::port::store::StoreError;
use parking_lot::{Mutex, RwLock};

use super::frame;
use super::position::Position;
use crate::disk::{Disk, DiskDirectory, DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::reserve::SpaceLock;

/// Groups start behind the header's page, so that no torn write of theirs can harm it.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 4096;
const MAGIC: &[u8; 8] = b"PSJOURNL";
/// The format of segments.
pub(crate) const SEGMENT_FORMAT: u16 = 2;
/// The file that becomes the next segment.
pub(crate) const NEW_FILE_NAME: &str = "next.new";
/// One read fetches most frames whole.
const READ_BYTES: usize = 1024;

/// The start of a segment file (little-endian): magic, format u16, epoch u64 at 16, number u32 at 24, previous end
/// u32 at 28, moved bytes u32 at 32, their origin u64 at 40, CRC-32C u32 at 48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) epoch: u64,
    pub(crate) number: u32,
    /// Where the valid bytes of segment `number - 1` end. What lies behind was never acknowledged there.
    pub(crate) previous_end: u32,
    pub(crate) moved: MovedGroup,
}

/// The group at the start of a segment, if start-up moved it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MovedGroup {
    /// Where it lay when it became durable.
    pub(crate) origin: Position,
    /// Its length, mark included; 0 where nothing was moved.
    pub(crate) bytes: u32,
}

impl MovedGroup {
    pub(crate) const NONE: Self = Self { origin: Position::NONE, bytes: 0 };

    /// Where what lies at `position` of this segment lay when it became durable.
    pub(crate) fn origin_of(self, position: Position) -> Position {
        match position.offset.checked_sub(SEGMENT_HEADER_BYTES).filter(|offset| *offset < self.bytes) {
            Some(offset) => Position::new(self.origin.segment, self.origin.offset + offset),
            None => position,
        }
    }
}

/// Bytes of the header that are used.
const USED_BYTES: usize = 52;
const CRC_AT: usize = USED_BYTES - 4;

/// Why a segment's header does not read.
#[derive(Debug)]
pub(crate) enum SegmentHeaderFault {
    Unavailable(io::Error),
    Damaged,
    /// It has another format than this one.
    Format(u16),
}

impl SegmentHeader {
    fn encode(self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&SEGMENT_FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.number.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.moved.bytes.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.moved.origin.to_u64().to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..USED_BYTES].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn read(file: &dyn DiskFile) -> Result<Self, SegmentHeaderFault> {
        let mut bytes = [0; USED_BYTES];
        let filled = read_full_at(file, &mut bytes, 0).map_err(SegmentHeaderFault::Unavailable)?;
        if filled < bytes.len() || !bytes.starts_with(MAGIC) {
            return Err(SegmentHeaderFault::Damaged);
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        // No format has the number 0.
        if format != SEGMENT_FORMAT && format != 0 {
            return Err(SegmentHeaderFault::Format(format));
        }
        if crc32c::crc32c(&bytes[..CRC_AT]).to_le_bytes() != bytes[CRC_AT..] {
            return Err(SegmentHeaderFault::Damaged);
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let moved = MovedGroup { bytes: word(32), origin: Position::from_u64(long(40)) };
        Ok(Self { epoch: long(16), number: word(24), previous_end: word(28), moved })
    }
}

/// The segments that exist. Shared: one thread appends, many read.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// The open directory.
    names: Arc<dyn DiskDirectory>,
    epoch: u64,
    /// A segment that is made ahead: room and descriptor are there, header and number come when it is needed.
    prepared: Mutex<Option<PreparedSegment>>,
    room: SpaceLock,
    files: RwLock<BTreeMap<u32, Arc<dyn DiskFile>>>,
    /// All segments before this one are in a checkpoint: they are kept for followers alone.
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
    /// The segment's preallocated size in bytes.
    pub(crate) capacity: u64,
}

/// How much is kept of what is in a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentRetention {
    pub(crate) bytes: u64,
    /// What was written before this time goes, too. Microseconds since the Unix epoch.
    pub(crate) since: i64,
}

impl SegmentRetention {
    pub(crate) const NONE: Self = Self { bytes: 0, since: i64::MAX };
}

/// A segment to read from.
pub(crate) struct ReadableSegment {
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where its valid bytes end, if another one says so.
    pub(crate) end: Option<u32>,
    pub(crate) moved: MovedGroup,
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: PathBuf, epoch: u64, room: SpaceLock) -> io::Result<Self> {
        let names = disk.directory(&directory)?;
        let (prepared, files) = (Mutex::default(), RwLock::default());
        Ok(Self { disk, directory, names, epoch, prepared, room, files, folded_before: AtomicU32::new(0) })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Opens a segment that a directory listing found.
    pub(crate) fn open(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.path(number))?;
        self.files.write().insert(number, file.clone());
        Ok(file)
    }

    /// Makes a segment whose first bytes are `first`. It is durable, with them, before its name appears.
    pub(crate) fn create(
        &self,
        number: u32,
        previous_end: u32,
        bytes: u64,
        first: &[u8],
    ) -> io::Result<Arc<dyn DiskFile>> {
        self.create_with(number, previous_end, bytes, first, MovedGroup::NONE)
    }

    /// The same for a group that was moved.
    pub(crate) fn create_with(
        &self,
        number: u32,
        previous_end: u32,
        bytes: u64,
        first: &[u8],
        moved: MovedGroup,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let mut prepared = self.prepared.lock();
        let mut _room = None;
        if prepared.as_ref().is_none_or(|made| made.bytes < bytes) {
            // It takes room, which may be what was given up for sled. The upkeep thread takes the locks in this order, too.
            drop(prepared);
            _room = Some(self.room.lock());
            prepared = self.prepared.lock();
        }
        let file = match prepared.take() {
            Some(made) => {
                if made.bytes < bytes
                    && let Err(error) = made.file.allocate(bytes)
                {
                    *prepared = Some(made);
                    return Err(error);
                }
                made.file
            }
            None => self.allocate(bytes)?,
        };
        let header = SegmentHeader { epoch: self.epoch, number, previous_end, moved };
        let start = [&header.encode(), first].concat();
        let made = write_all_at(&*file, &start, 0).map_err(|WriteFailed { source, .. }| source);
        if let Err(error) = made.and_then(|()| file.sync_data()) {
            // Give the room back; a leftover is removed at the next start-up.
            let _ = self.disk.remove(&self.new_path());
            return Err(error);
        }
        self.disk.rename(&self.new_path(), &self.path(number))?;
        self.names.sync()?;
        self.files.write().insert(number, file.clone());
        Ok(file)
    }

    /// Takes back a segment that was to be made and may have its name already; durable when it returns.
    pub(crate) fn take_back(&self, number: u32) -> io::Result<()> {
        match self.disk.remove(&self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.names.sync()
    }

    /// Makes the next segment ahead, so that its creation needs neither room nor a descriptor.
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

    /// Writes to the segment that is made ahead, where nothing counts yet: does the disk take writes?
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

    /// A new file with room for `bytes` bytes.
    fn allocate(&self, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(&self.new_path())?;
        if let Err(error) = file.allocate(bytes) {
            let _ = self.disk.remove(&self.new_path());
            return Err(error);
        }
        Ok(file)
    }

    fn new_path(&self) -> PathBuf {
        self.directory.join(NEW_FILE_NAME)
    }

    /// The newest segment.
    pub(super) fn newest(&self) -> Option<Arc<dyn DiskFile>> {
        self.files.read().values().next_back().cloned()
    }

    /// Reads the bytes at `position`: those of the frame there, and some behind it. Returns `None` if the segment was
    /// removed after a checkpoint.
    pub(crate) fn fetch(&self, position: Position) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.files.read().get(&position.segment).cloned() else { return Ok(None) };
        let bytes = read_frame(&*file, position.offset.into());
        let failed =
            |source: io::Error| StoreError::Unavailable { doing: "reading the journal", source: source.into() };
        bytes.map(Some).map_err(failed)
    }

    /// The number of the oldest segment.
    pub(crate) fn oldest(&self) -> u32 {
        self.files.read().keys().next().copied().unwrap_or(1)
    }

    /// A segment to read from; `None` where there is none of that number.
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

    /// All segments before `number` are in a checkpoint.
    pub(crate) fn set_folded(&self, number: u32) {
        self.folded_before.store(number, Ordering::Relaxed);
    }

    /// All segments before `number` are in a checkpoint now. Removes them, oldest first, until the rest is to be kept.
    pub(crate) fn folded_before(&self, number: u32, keep: SegmentRetention) -> io::Result<()> {
        self.set_folded(number);
        self.remove_folded(keep).map(|_| ())
    }

    /// Removes segments that are in a checkpoint, oldest first, until the rest is to be kept; says whether any went.
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
            // The checkpoint and the commit thread may both be at it.
            if self.files.write().remove(&number).is_some() {
                if let Err(error) = self.disk.remove(&self.path(number)) {
                    // Nothing newer goes before it: a follower that begins there would meet a gap.
                    self.files.write().insert(number, file);
                    return Err(error);
                }
                any = true;
            }
        }
        Ok(any)
    }

    /// About how many bytes lie between two places.
    pub(crate) fn bytes_between(&self, from: Position, to: Position) -> io::Result<u64> {
        let mut bytes = behind_header(u64::from(to.offset));
        for (_, file) in self.files.read().range(from.segment.min(to.segment)..to.segment) {
            bytes += behind_header(file.length()?);
        }
        Ok(bytes.saturating_sub(behind_header(u64::from(from.offset))))
    }

    /// The bytes of all segments on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.read().values().map(|file| file.length().unwrap_or(0)).sum()
    }

    /// The numbers of the segments in the directory, and the removal of one that was never finished.
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

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:010}.segment"))
    }
}

/// Reads the frame at `offset`, and what one read finds behind it.
fn read_frame(file: &dyn DiskFile, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; READ_BYTES];
    let mut filled = read_full_at(file, &mut bytes, offset)?;
    let length = frame::claimed_length(&bytes[..filled]);
    // A damaged length must not make us allocate more than there is.
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

    #[test]
    fn a_segment_that_was_not_made_ahead_waits_for_the_room_that_sled_is_given() {
        let dir = tempfile::tempdir().expect("a directory");
        let room = SpaceLock::default();
        let segments = Segments::new(Arc::new(RealDisk), dir.path().to_owned(), 1, room.clone()).expect("a journal");
        segments.prepare(16_384).expect("made ahead");
        let given_up = room.lock();
        segments.create(1, 0, 16_384, &[]).expect("it takes no room");
        let (sender, made) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(segments.create(2, 4096, 16_384, &[]).is_ok()));
            made.recv_timeout(Duration::from_millis(200)).expect_err("it waits");
            drop(given_up);
            assert_eq!(made.recv(), Ok(true));
        });
    }
}
