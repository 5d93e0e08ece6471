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
//!     40       8  number of lines
//!     48       8  seq of the last line
//!     56      32  chain value of the last line
//!     88      32  digest over all lines of the category up to the last line
//!    120       8  earliest time of a line, in microseconds since the Unix epoch
//!    128       8  latest time
//!    136       4  CRC-32C of the postings
//!    140       4  CRC-32C of everything before
//!    144      16  first posting: the first 8 bytes of a subject hash (big-endian), and the offset of the line
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Posting;
use crate::audit::tree_head::ChainHead;
use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::disk::{Disk, DiskFile, read_full_at};

const MAGIC: &[u8; 8] = b"PSAUDIDX";
const INDEX_FORMAT: u16 = 1;
pub(super) const HEADER_BYTES: usize = 144;
pub(super) const POSTING_BYTES: usize = 16;
const POSTINGS_CRC_AT: usize = 136;
const CRC_AT: usize = 140;
/// Postings of a read of all of them.
const CHUNK_POSTINGS: u64 = 4_096;

/// What a header says about the lines that the index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) struct IndexSummary {
    /// Offset of the first line.
    pub(in crate::audit) from: u64,
    /// Offset after the last line.
    pub(in crate::audit) to: u64,
    /// The number of lines.
    pub(in crate::audit) lines: u64,
    /// Where the chain stands after the last line.
    pub(in crate::audit) head: ChainHead,
    /// The earliest and the latest time of a line. The earliest is later than the latest if there is no line.
    pub(in crate::audit) times: (i64, i64),
}

impl IndexSummary {
    /// Returns the summary of no lines at an offset, where the chain stands at `head`.
    pub(super) fn empty(offset: u64, head: ChainHead) -> Self {
        Self { from: offset, to: offset, lines: 0, head, times: (i64::MAX, i64::MIN) }
    }

    /// Returns the summary of these lines and those of `next`, which follow them.
    pub(super) fn with(&self, next: &Self) -> Self {
        let times = (self.times.0.min(next.times.0), self.times.1.max(next.times.1));
        Self { from: self.from, to: next.to, lines: self.lines + next.lines, head: next.head, times }
    }
}

/// Returns the header of a file with so many postings, which have the checksum `crc`.
pub(super) fn header(summary: &IndexSummary, postings: u64, crc: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    put(&mut header, 0, MAGIC);
    put(&mut header, 8, &INDEX_FORMAT.to_le_bytes());
    put(&mut header, 16, &postings.to_le_bytes());
    put(&mut header, 24, &summary.from.to_le_bytes());
    put(&mut header, 32, &summary.to.to_le_bytes());
    put(&mut header, 40, &summary.lines.to_le_bytes());
    put(&mut header, 48, &summary.head.count.to_le_bytes());
    put(&mut header, 56, &summary.head.chain);
    put(&mut header, 88, &summary.head.digest);
    put(&mut header, 120, &summary.times.0.to_le_bytes());
    put(&mut header, 128, &summary.times.1.to_le_bytes());
    put(&mut header, POSTINGS_CRC_AT, &crc.to_le_bytes());
    put_crc(&mut header, CRC_AT);
    header
}

/// An open index.
pub(in crate::audit) struct IndexFile {
    file: Arc<dyn DiskFile>,
    pub(in crate::audit) path: PathBuf,
    postings: u64,
    postings_crc: u32,
    pub(in crate::audit) summary: IndexSummary,
}

impl IndexFile {
    /// Opens an index and checks its header against its length; `None` if it is missing, damaged or of another format, so
    /// that it has to be made again. Its postings are not checked.
    pub(in crate::audit) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = disk.open(path)?;
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
        let head =
            ChainHead { count: u64_at(&header, 48), chain: array_at(&header, 56), digest: array_at(&header, 88) };
        let summary = IndexSummary {
            from: u64_at(&header, 24),
            to: u64_at(&header, 32),
            lines: u64_at(&header, 40),
            head,
            times: (i64::from_le_bytes(array_at(&header, 120)), i64::from_le_bytes(array_at(&header, 128))),
        };
        let postings_crc = u32_at(&header, POSTINGS_CRC_AT);
        Ok(Some(Self { file, path: path.to_owned(), postings, postings_crc, summary }))
    }

    /// Reads all postings in their order.
    pub(super) fn read_all(&self) -> PostingReader<'_> {
        PostingReader { index: self, chunk: Vec::new(), taken: 0, read: 0, crc: 0 }
    }

    /// Reads all postings, and returns whether they are what was written.
    pub(in crate::audit) fn is_intact(&self) -> io::Result<bool> {
        let mut reader = self.read_all();
        while reader.fill()? {}
        Ok(reader.is_intact())
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

/// Reads the postings of an index in their order, a part at a time.
pub(super) struct PostingReader<'a> {
    index: &'a IndexFile,
    chunk: Vec<u8>,
    /// Bytes of the chunk that were handed out.
    taken: usize,
    /// Number of postings that were read.
    read: u64,
    crc: u32,
}

impl PostingReader<'_> {
    /// Returns the next posting; `None` after the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<Posting>> {
        if self.taken == self.chunk.len() && !self.fill()? {
            return Ok(None);
        }
        let posting = posting(&self.chunk[self.taken..]);
        self.taken += POSTING_BYTES;
        Ok(Some(posting))
    }

    /// Returns whether what was read is what was written, once everything was read.
    pub(super) fn is_intact(&self) -> bool {
        self.crc == self.index.postings_crc
    }

    /// Reads the next chunk, and returns whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        let count = (self.index.postings - self.read).min(CHUNK_POSTINGS);
        self.chunk.resize(count as usize * POSTING_BYTES, 0);
        self.index.read_postings(self.read, &mut self.chunk)?;
        self.crc = crc32c::crc32c_append(self.crc, &self.chunk);
        (self.taken, self.read) = (0, self.read + count);
        Ok(count > 0)
    }
}
