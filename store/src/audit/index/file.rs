//! An index file: of a closed segment, or of a part of the open one.
//!
//! ```text
//! offset  length  field (little-endian, but for the subject)
//!      0       8  "PSAUDIDX"
//!      8       2  format, 1
//!     10       6  reserved, 0
//!     16       8  number of postings
//!     24       8  offset in the segment of the first line that is covered
//!     32       8  offset after the last line that is covered
//!     40       8  seq of the last line
//!     48      32  chain value of the last line
//!     80       8  earliest time of a line, in microseconds since the Unix epoch
//!     88       8  latest time
//!     96       4  CRC-32C of the postings
//!    100       4  CRC-32C of everything before
//!    104      16  first posting: the first 8 bytes of a subject hash (big-endian), and the offset of the line
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Posting;
use crate::audit::entry_text::ChainValue;
use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::disk::{Disk, DiskFile, read_full_at};

const MAGIC: &[u8; 8] = b"PSAUDIDX";
const INDEX_FORMAT: u16 = 1;
const HEADER_BYTES: usize = 104;
const POSTING_BYTES: usize = 16;
const POSTINGS_CRC_AT: usize = 96;
const CRC_AT: usize = 100;

/// What a header says about the lines that the index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct IndexSummary {
    /// Offset of the first line.
    pub(in crate::audit) from: u64,
    /// Offset after the last line.
    pub(in crate::audit) to: u64,
    /// The number of the last line's entry.
    pub(in crate::audit) last_seq: u64,
    /// The chain value of the last line.
    pub(in crate::audit) last_chain: ChainValue,
    /// The earliest and the latest time of a line.
    pub(in crate::audit) times: (i64, i64),
}

/// An open index.
pub(in crate::audit) struct IndexFile {
    file: Arc<dyn DiskFile>,
    postings: u64,
    pub(in crate::audit) summary: IndexSummary,
}

impl IndexFile {
    /// Returns the bytes of an index of these postings, which are sorted.
    pub(in crate::audit) fn encode(summary: &IndexSummary, postings: &[Posting]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.reserve(postings.len() * POSTING_BYTES);
        for (subject, offset) in postings {
            bytes.extend_from_slice(&subject.to_be_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        let header = &mut bytes[..HEADER_BYTES];
        put(header, 0, MAGIC);
        put(header, 8, &INDEX_FORMAT.to_le_bytes());
        put(header, 16, &(postings.len() as u64).to_le_bytes());
        put(header, 24, &summary.from.to_le_bytes());
        put(header, 32, &summary.to.to_le_bytes());
        put(header, 40, &summary.last_seq.to_le_bytes());
        put(header, 48, &summary.last_chain);
        put(header, 80, &summary.times.0.to_le_bytes());
        put(header, 88, &summary.times.1.to_le_bytes());
        put(header, POSTINGS_CRC_AT, &crc.to_le_bytes());
        put_crc(header, CRC_AT);
        bytes
    }

    /// Opens an index; `None` if it is missing, damaged or of another format, so that it has to be made again.
    pub(in crate::audit) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        Self::read(disk.open(path)?)
    }

    /// Reads the header of a file and checks it against the file's length.
    pub(in crate::audit) fn read(file: Arc<dyn DiskFile>) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        let filled = read_full_at(&*file, &mut header, 0)?;
        let is_valid = filled == HEADER_BYTES
            && header.starts_with(MAGIC)
            && u16_at(&header, 8) == INDEX_FORMAT
            && crc_matches(&header, CRC_AT);
        if !is_valid {
            return Ok(None);
        }
        let postings = u64_at(&header, 16);
        let expected =
            postings.checked_mul(POSTING_BYTES as u64).and_then(|bytes| bytes.checked_add(HEADER_BYTES as u64));
        if expected != Some(file.length()?) {
            return Ok(None);
        }
        let summary = IndexSummary {
            from: u64_at(&header, 24),
            to: u64_at(&header, 32),
            last_seq: u64_at(&header, 40),
            last_chain: array_at(&header, 48),
            times: (i64::from_le_bytes(array_at(&header, 80)), i64::from_le_bytes(array_at(&header, 88))),
        };
        Ok(Some(Self { file, postings, summary }))
    }

    /// Reads all postings, and checks them; `None` if they are damaged.
    pub(in crate::audit) fn postings(&self) -> io::Result<Option<Vec<Posting>>> {
        let mut header = [0; HEADER_BYTES];
        read_full_at(&*self.file, &mut header, 0)?;
        let mut bytes = vec![0; usize::try_from(self.postings).unwrap_or(usize::MAX) * POSTING_BYTES];
        read_full_at(&*self.file, &mut bytes, HEADER_BYTES as u64)?;
        let is_valid = crc32c::crc32c(&bytes) == u32_at(&header, POSTINGS_CRC_AT);
        Ok(is_valid.then(|| bytes.chunks_exact(POSTING_BYTES).map(posting).collect()))
    }

    /// Appends the offsets of the lines about a subject to `offsets`, in ascending order.
    pub(in crate::audit) fn find(&self, subject: u64, offsets: &mut Vec<u64>) -> io::Result<()> {
        let (mut low, mut high) = (0, self.postings);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.posting(middle)?.0 < subject { low = middle + 1 } else { high = middle }
        }
        let mut chunk = [0; POSTING_BYTES * 64];
        while low < self.postings {
            let count = (self.postings - low).min(64) as usize;
            let bytes = &mut chunk[..count * POSTING_BYTES];
            self.read_postings(low, bytes)?;
            for (found, offset) in bytes.chunks_exact(POSTING_BYTES).map(posting) {
                if found != subject {
                    return Ok(());
                }
                offsets.push(offset);
            }
            low += count as u64;
        }
        Ok(())
    }

    fn posting(&self, number: u64) -> io::Result<Posting> {
        let mut bytes = [0; POSTING_BYTES];
        self.read_postings(number, &mut bytes)?;
        Ok(posting(&bytes))
    }

    fn read_postings(&self, number: u64, bytes: &mut [u8]) -> io::Result<()> {
        let at = HEADER_BYTES as u64 + number * POSTING_BYTES as u64;
        if read_full_at(&*self.file, bytes, at)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn posting(bytes: &[u8]) -> Posting {
    (u64::from_be_bytes(array_at(bytes, 0)), u64_at(bytes, 8))
}
