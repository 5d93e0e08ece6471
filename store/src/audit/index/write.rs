//! Writes an index file, posting by posting, so that a merge needs little memory.

use std::io;
use std::sync::Arc;

use super::file::{HEADER_BYTES, POSTING_BYTES, header};
use super::{IndexSummary, Posting};
use crate::disk::{DiskFile, write_all_at};

/// Bytes of a write.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes after which a long file is synced, so that its sync at the end does not hold up those of entries.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that gets postings in ascending order.
pub(in crate::audit) struct IndexWriter {
    file: Arc<dyn DiskFile>,
    chunk: Vec<u8>,
    end: u64,
    unsynced: u64,
    postings: u64,
    crc: u32,
}

impl IndexWriter {
    /// Fills an empty file.
    pub(in crate::audit) fn new(file: Arc<dyn DiskFile>) -> Self {
        let chunk = Vec::with_capacity(CHUNK_BYTES);
        Self { file, chunk, end: HEADER_BYTES as u64, unsynced: 0, postings: 0, crc: 0 }
    }

    /// Adds a posting.
    pub(in crate::audit) fn push(&mut self, (subject, offset): Posting) -> io::Result<()> {
        self.chunk.extend_from_slice(&subject.to_be_bytes());
        self.chunk.extend_from_slice(&offset.to_le_bytes());
        self.postings += 1;
        if self.chunk.len() + POSTING_BYTES > CHUNK_BYTES { self.write_chunk() } else { Ok(()) }
    }

    /// Completes the file, which is durable then.
    pub(in crate::audit) fn finish(mut self, summary: &IndexSummary) -> io::Result<()> {
        self.write_chunk()?;
        let header = header(summary, self.postings, self.crc);
        write_all_at(&*self.file, &header, 0).map_err(|failed| failed.source)?;
        self.file.sync_data()
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        write_all_at(&*self.file, &self.chunk, self.end).map_err(|failed| failed.source)?;
        self.crc = crc32c::crc32c_append(self.crc, &self.chunk);
        self.end += self.chunk.len() as u64;
        self.unsynced += self.chunk.len() as u64;
        self.chunk.clear();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }
}
