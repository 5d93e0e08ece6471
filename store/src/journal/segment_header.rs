//! The header of a segment file.
//!
//! ```text
//! offset  length  field
//!      0       8  "PSJOURNL"
//!      8       2  format, 3
//!     10       6  reserved, 0
//!     16       8  epoch of the store
//!     24       4  number of the segment
//!     28       4  offset in the segment before, at which its valid bytes end
//!     32       4  bytes of the group that start-up moved here, 0 if none
//!     36       4  reserved, 0
//!     40       8  position at which that group lay before: offset, then segment
//!     48       4  CRC-32C of everything before
//!     52    4044  unused, 0
//! ```

use std::io;

use super::position::Position;
use crate::bytes::{crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::disk::{DiskFile, read_full_at};

/// Bytes before the first group: a whole page, so that no torn write of a group can damage the header.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 4096;
/// The format of segments.
pub(super) const SEGMENT_FORMAT: u16 = 3;
const MAGIC: &[u8; 8] = b"PSJOURNL";

const FORMAT_AT: usize = 8;
const RESERVED_AT: usize = 10;
const EPOCH_AT: usize = 16;
const NUMBER_AT: usize = 24;
const PREVIOUS_END_AT: usize = 28;
const MOVED_BYTES_AT: usize = 32;
const SECOND_RESERVED_AT: usize = 36;
const MOVED_ORIGIN_AT: usize = 40;
const CRC_AT: usize = 48;
/// Bytes of the header that are used.
const USED_BYTES: usize = CRC_AT + 4;

/// The header of a segment: what is recorded about it and about the segment before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) epoch: u64,
    pub(crate) number: u32,
    /// Where the valid bytes of segment `number - 1` end. What follows them was never acknowledged there.
    pub(crate) previous_end: u32,
    pub(crate) moved: MovedGroup,
}

/// The group at the start of a segment, if start-up moved it there from the end of an earlier segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MovedGroup {
    /// The position at which it became durable.
    pub(crate) origin: Position,
    /// Its length with its mark; 0 if nothing was moved.
    pub(crate) bytes: u32,
}

impl MovedGroup {
    /// Nothing was moved.
    pub(crate) const NONE: Self = Self { origin: Position::NONE, bytes: 0 };

    /// Returns the position at which the frame at `position` of this segment became durable.
    pub(crate) fn origin_of(self, position: Position) -> Position {
        match position.offset.checked_sub(SEGMENT_HEADER_BYTES).filter(|offset| *offset < self.bytes) {
            Some(offset) => Position::new(self.origin.segment, self.origin.offset + offset),
            None => position,
        }
    }
}

/// Why a segment's header cannot be read.
#[derive(Debug)]
pub(crate) enum SegmentHeaderFault {
    /// The file could not be read.
    Unavailable(io::Error),
    Damaged,
    /// The format is another one than [`SEGMENT_FORMAT`].
    Format(u16),
    /// A reserved field is in use, so a newer release wrote the segment.
    Reserved,
}

impl SegmentHeader {
    pub(super) fn encode(self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &SEGMENT_FORMAT.to_le_bytes());
        put(&mut bytes, EPOCH_AT, &self.epoch.to_le_bytes());
        put(&mut bytes, NUMBER_AT, &self.number.to_le_bytes());
        put(&mut bytes, PREVIOUS_END_AT, &self.previous_end.to_le_bytes());
        put(&mut bytes, MOVED_BYTES_AT, &self.moved.bytes.to_le_bytes());
        put(&mut bytes, MOVED_ORIGIN_AT, &self.moved.origin.to_u64().to_le_bytes());
        put_crc(&mut bytes, CRC_AT);
        bytes
    }

    /// Reads the header of `file`.
    pub(crate) fn read(file: &dyn DiskFile) -> Result<Self, SegmentHeaderFault> {
        let mut bytes = [0; USED_BYTES];
        let filled = read_full_at(file, &mut bytes, 0).map_err(SegmentHeaderFault::Unavailable)?;
        if filled < bytes.len() || !bytes.starts_with(MAGIC) {
            return Err(SegmentHeaderFault::Damaged);
        }
        let format = u16_at(&bytes, FORMAT_AT);
        // No format has the number 0.
        if format != SEGMENT_FORMAT && format != 0 {
            return Err(SegmentHeaderFault::Format(format));
        }
        if !crc_matches(&bytes, CRC_AT) {
            return Err(SegmentHeaderFault::Damaged);
        }
        let mut reserved = bytes[RESERVED_AT..EPOCH_AT].iter().chain(&bytes[SECOND_RESERVED_AT..MOVED_ORIGIN_AT]);
        if reserved.any(|byte| *byte != 0) {
            return Err(SegmentHeaderFault::Reserved);
        }
        let origin = Position::from_u64(u64_at(&bytes, MOVED_ORIGIN_AT));
        Ok(Self {
            epoch: u64_at(&bytes, EPOCH_AT),
            number: u32_at(&bytes, NUMBER_AT),
            previous_end: u32_at(&bytes, PREVIOUS_END_AT),
            moved: MovedGroup { origin, bytes: u32_at(&bytes, MOVED_BYTES_AT) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk, write_all_at};

    fn read(bytes: &[u8]) -> Result<SegmentHeader, SegmentHeaderFault> {
        let dir = tempfile::tempdir().expect("a directory");
        let file = RealDisk.create(&dir.path().join("segment")).expect("a file");
        write_all_at(&*file, bytes, 0).expect("written");
        SegmentHeader::read(&*file)
    }

    #[test]
    fn a_header_has_the_bytes_that_the_table_above_shows_and_its_reserved_fields_are_zero() {
        let moved = MovedGroup { origin: Position::new(1, 0x0203), bytes: 4 };
        let header = SegmentHeader { epoch: 5, number: 6, previous_end: 7, moved };
        let bytes = header.encode();
        let fields = [
            &b"PSJOURNL\x03\x00\x00\x00\x00\x00\x00\x00"[..],
            &[5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0],
            &[4, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 1, 0, 0, 0],
        ];
        assert_eq!(bytes[..CRC_AT], fields.concat());
        assert_eq!(read(&bytes).expect("it was written"), header);
        for at in [RESERVED_AT, EPOCH_AT - 1, SECOND_RESERVED_AT] {
            let mut reserved = bytes;
            reserved[at] = 1;
            assert!(matches!(read(&reserved), Err(SegmentHeaderFault::Damaged)));
            put_crc(&mut reserved, CRC_AT);
            assert!(matches!(read(&reserved), Err(SegmentHeaderFault::Reserved)));
        }
    }
}
