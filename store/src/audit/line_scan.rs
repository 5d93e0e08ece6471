//! Reads the lines of a segment in their order, and checks the chain over them.

use std::io;

use hmac::Hmac;
use sha2::Sha256;

use super::index::IndexedLine;
use super::parsed_line::ParsedLine;
use super::segment_header::SegmentHeader;
use super::tree_head::ChainHead;
use crate::disk::{DiskFile, read_full_at};

/// Bytes of a read.
const CHUNK_BYTES: usize = 1 << 20;

/// The lines of a file from an offset on.
pub(super) struct LineScan<'a> {
    file: &'a dyn DiskFile,
    /// Bytes that were read, of which those before `taken` were handed out.
    buffer: Vec<u8>,
    taken: usize,
    /// Offset of the start of the buffer.
    base: u64,
}

/// A line, or what is left at the end of the file without a line break.
pub(super) struct RawLine {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) is_complete: bool,
}

impl RawLine {
    /// Returns the offset after the line and its line break.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + u64::from(self.is_complete)
    }
}

impl<'a> LineScan<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, offset: u64) -> Self {
        Self { file, buffer: Vec::new(), taken: 0, base: offset }
    }

    /// Returns the next line; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine>> {
        loop {
            let rest = &self.buffer[self.taken..];
            let offset = self.base + self.taken as u64;
            if let Some(length) = memchr::memchr(b'\n', rest) {
                let line = RawLine { offset, bytes: rest[..length].to_vec(), is_complete: true };
                self.taken += length + 1;
                return Ok(Some(line));
            }
            if !self.fill()? {
                let bytes = self.buffer.split_off(self.taken);
                return Ok((!bytes.is_empty()).then_some(RawLine { offset, bytes, is_complete: false }));
            }
        }
    }

    /// Reads on, and returns whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.taken);
        self.base += self.taken as u64;
        self.taken = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK_BYTES, 0);
        let filled = read_full_at(self.file, &mut self.buffer[length..], self.base + length as u64)?;
        self.buffer.truncate(length + filled);
        Ok(filled > 0)
    }
}

/// Where a check of a chain stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainCursor {
    pub(super) head: ChainHead,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LineFault {
    /// It is no entry in canonical form, or has no line break.
    Malformed,
    /// It is of another category.
    WrongCategory,
    /// Its number is not the next one.
    WrongNumber {
        /// The number that it states.
        found: u64,
    },
    /// Its chain value does not follow from the entry before: one of the two was changed.
    WrongChain,
}

impl ChainCursor {
    /// Checks the next line, and moves on if it follows. Without `key`, chain values are not checked.
    pub(super) fn follow<'a>(
        &mut self,
        raw: &'a RawLine,
        header: &SegmentHeader,
        key: Option<&Hmac<Sha256>>,
    ) -> Result<(IndexedLine, ParsedLine<'a>), LineFault> {
        let text = std::str::from_utf8(&raw.bytes).ok().filter(|_| raw.is_complete);
        let parsed = text.and_then(ParsedLine::parse).ok_or(LineFault::Malformed)?;
        if parsed.category != header.category {
            return Err(LineFault::WrongCategory);
        }
        if parsed.seq != self.head.count + 1 {
            return Err(LineFault::WrongNumber { found: parsed.seq });
        }
        if key.is_some_and(|key| !parsed.chained.follows(key, &self.head.chain)) {
            return Err(LineFault::WrongChain);
        }
        self.head = self.head.after(parsed.chained.chain, &raw.bytes);
        let line = IndexedLine {
            subject: parsed.subject_prefix(),
            offset: raw.offset,
            end: raw.end(),
            head: self.head,
            time: parsed.time,
        };
        Ok((line, parsed))
    }
}
