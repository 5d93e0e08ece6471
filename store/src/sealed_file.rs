//! A file that is sealed in chunks, so that it is written in one pass and read at any offset.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSSEALED"
//!      8       1  format, 1
//!      9       1  kind of the seals, see `seal::kind`
//!     10       2  reserved, 0
//!     12       4  slot of the keyring that holds the key
//!     16       4  generation of the key
//!     20       4  CRC-32C of everything before
//!     24          chunks: 65,536 bytes of content each, the last one from 0 to 65,536; sealed, with a tag of 16 bytes
//! ```
//!
//! The nonce and the label of a chunk hold its number and whether it is the last one (the construction STREAM of Hoang,
//! Reyhanitabar, Rogaway and Vizár, 2015). So chunks that are missing, swapped or cut off do not open. A key seals one file.

use std::io::{self, Write};
use std::sync::Arc;

use crate::bytes::{crc_matches, put, put_crc, u32_at};
use crate::disk::{DiskFile, WriteFailed, read_full_at, write_all_at};
use crate::seal::{Cipher, Label, NOBODY, NONCE_BYTES, TAG_BYTES, TENANT};

const MAGIC: &[u8; 8] = b"PSSEALED";
const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 24;
const KIND_AT: usize = 9;
const SLOT_AT: usize = 12;
const GENERATION_AT: usize = 16;
const CRC_AT: usize = HEADER_BYTES - 4;

const CHUNK_BYTES: usize = 1 << 16;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Set in the number of the last chunk.
const LAST: u64 = 1 << 63;

/// Where the key of a sealed file is, and what the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealedFileHeader {
    pub(crate) kind: u8,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl SealedFileHeader {
    /// Reads the header of a file; `None` if it is damaged.
    pub(crate) fn read(file: &dyn DiskFile) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        let filled = read_full_at(file, &mut bytes, 0)?;
        let sound = filled == HEADER_BYTES
            && crc_matches(&bytes, CRC_AT)
            && bytes.starts_with(MAGIC)
            && bytes[MAGIC.len()] == FORMAT;
        Ok(sound.then(|| Self {
            kind: bytes[KIND_AT],
            slot: u32_at(&bytes, SLOT_AT),
            generation: u32_at(&bytes, GENERATION_AT),
        }))
    }

    fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, MAGIC.len(), &[FORMAT, self.kind]);
        put(&mut bytes, SLOT_AT, &self.slot.to_le_bytes());
        put(&mut bytes, GENERATION_AT, &self.generation.to_le_bytes());
        put_crc(&mut bytes, CRC_AT);
        bytes
    }

    /// Returns nonce and label of the chunk with that number.
    fn chunk(self, number: u64) -> ([u8; NONCE_BYTES], Label) {
        let mut nonce = [0; NONCE_BYTES];
        nonce[0] = self.kind;
        put(&mut nonce, 4, &number.to_le_bytes());
        let Self { kind, slot, generation } = self;
        (nonce, Label { kind, format: FORMAT, tenant: TENANT, slot, generation, number, user: NOBODY })
    }
}

/// Writes a sealed file from its start to its end.
pub(crate) struct SealedFileWriter {
    file: Arc<dyn DiskFile>,
    cipher: Cipher,
    header: SealedFileHeader,
    /// The content of the chunk that is not full yet.
    chunk: Vec<u8>,
    next_chunk: u64,
    /// Length of the file so far.
    end: u64,
}

impl SealedFileWriter {
    /// Begins the file. `cipher` is of the key that `header` names, and of this file alone.
    pub(crate) fn begin(file: Arc<dyn DiskFile>, cipher: Cipher, header: SealedFileHeader) -> io::Result<Self> {
        write_all(&*file, &header.encode(), 0)?;
        let chunk = Vec::with_capacity(SEALED_CHUNK_BYTES);
        Ok(Self { file, cipher, header, chunk, next_chunk: 0, end: HEADER_BYTES as u64 })
    }

    /// Seals what is left, makes the file durable and returns the length of its content in bytes.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        let content = self.next_chunk * CHUNK_BYTES as u64 + self.chunk.len() as u64;
        self.seal_chunk(LAST)?;
        self.file.sync_data()?;
        Ok(content)
    }

    fn seal_chunk(&mut self, last: u64) -> io::Result<()> {
        let (nonce, label) = self.header.chunk(self.next_chunk | last);
        self.cipher.seal(&nonce, label, &mut self.chunk, 0);
        write_all(&*self.file, &self.chunk, self.end)?;
        self.end += self.chunk.len() as u64;
        self.next_chunk += 1;
        self.chunk.clear();
        Ok(())
    }
}

impl Write for SealedFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is sealed only when more follows: the last chunk is sealed by `finish`.
        if self.chunk.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.seal_chunk(0)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a sealed file that was completed.
pub(crate) struct SealedFile {
    file: Arc<dyn DiskFile>,
    cipher: Cipher,
    header: SealedFileHeader,
    chunks: u64,
    content: u64,
}

/// Why a sealed file cannot be read.
#[derive(Debug)]
pub(crate) enum SealedFileError {
    Io(io::Error),
    /// A part of the file is missing or was changed.
    Damaged(String),
}

impl From<io::Error> for SealedFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl SealedFile {
    /// Opens the file, and checks that its end is the one that was written.
    pub(crate) fn open(
        file: Arc<dyn DiskFile>,
        cipher: Cipher,
        header: SealedFileHeader,
    ) -> Result<Self, SealedFileError> {
        let sealed = file.length()?.saturating_sub(HEADER_BYTES as u64);
        let chunks = sealed.div_ceil(SEALED_CHUNK_BYTES as u64);
        let content = sealed.checked_sub(chunks * TAG_BYTES as u64).filter(|_| chunks > 0);
        let content = content.ok_or_else(|| SealedFileError::Damaged("it is cut off".to_owned()))?;
        let opened = Self { file, cipher, header, chunks, content };
        opened.read_chunk(chunks - 1)?;
        Ok(opened)
    }

    /// Returns the length of the content in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.content
    }

    /// Reads up to `length` bytes from `offset` on: fewer only where the content ends.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, SealedFileError> {
        let end = self.content.min(offset.saturating_add(length as u64));
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let chunk = self.read_chunk(at / CHUNK_BYTES as u64)?;
            let start = (at % CHUNK_BYTES as u64) as usize;
            let stop = chunk.len().min(start + (end - at) as usize);
            bytes.extend_from_slice(&chunk[start..stop]);
            at += (stop - start) as u64;
        }
        Ok(bytes)
    }

    fn read_chunk(&self, number: u64) -> Result<Vec<u8>, SealedFileError> {
        let mut sealed = vec![0; SEALED_CHUNK_BYTES];
        let at = HEADER_BYTES as u64 + number * SEALED_CHUNK_BYTES as u64;
        let filled = read_full_at(&*self.file, &mut sealed, at)?;
        sealed.truncate(filled);
        let last = if number + 1 == self.chunks { LAST } else { 0 };
        let (nonce, label) = self.header.chunk(number | last);
        let damaged = || SealedFileError::Damaged(format!("the chunk at byte {at} does not open"));
        self.cipher.open(&nonce, label, &sealed).map_err(|_| damaged())
    }
}

fn write_all(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    write_all_at(file, bytes, offset).map_err(|WriteFailed { source, .. }| source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use crate::seal::SecretKey;

    const HEADER: SealedFileHeader = SealedFileHeader { kind: 0x84, slot: 7, generation: 1 };

    fn cipher() -> Cipher {
        SecretKey::new([3; 32]).cipher()
    }

    /// Writes `content` in pieces of changing length, and returns the file's bytes.
    fn sealed(content: &[u8]) -> Vec<u8> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sealed");
        let file = RealDisk.create(&path).expect("a file");
        let mut writer = SealedFileWriter::begin(file, cipher(), HEADER).expect("begins");
        for (number, piece) in content.chunks(10_007).enumerate() {
            let (first, rest) = piece.split_at(piece.len().min(number * 13));
            writer.write_all(first).expect("writes");
            writer.write_all(rest).expect("writes");
        }
        assert_eq!(writer.finish().expect("finishes"), content.len() as u64);
        std::fs::read(path).expect("reads")
    }

    fn open(bytes: &[u8]) -> Result<SealedFile, SealedFileError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sealed");
        std::fs::write(&path, bytes).expect("writes");
        let file = RealDisk.open(&path).expect("opens");
        let header = SealedFileHeader::read(&*file).expect("reads").ok_or(SealedFileError::Damaged("header".into()))?;
        assert_eq!(header, HEADER);
        SealedFile::open(file, cipher(), header)
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    #[test]
    fn every_range_of_a_file_is_read_as_it_was_written() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 5] {
            let content = content(length);
            let file = open(&sealed(&content)).expect("opens");
            assert_eq!(file.length(), length as u64);
            for (offset, wanted) in [
                (0, length),
                (0, length + 9),
                (1, 3),
                (CHUNK_BYTES - 2, 4),
                (length / 2, CHUNK_BYTES * 2),
                (length + 3, 5),
            ] {
                let expected = content.get(offset..length.min(offset + wanted)).unwrap_or_default();
                assert_eq!(file.read(offset as u64, wanted).expect("reads"), expected, "{length}: {offset} {wanted}");
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_swapped_or_changed_does_not_open() {
        let content = content(3 * CHUNK_BYTES + 100);
        let whole = sealed(&content);
        let chunk = |number: usize| HEADER_BYTES + number * SEALED_CHUNK_BYTES;
        for cut in [0, 5, HEADER_BYTES, HEADER_BYTES + 3, chunk(1), chunk(2), chunk(3), chunk(3) + 20, whole.len() - 1]
        {
            assert!(open(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(open(&[&whole[..], &[0; 40]].concat()).is_err(), "bytes after the end");
        let mut swapped = whole.clone();
        swapped[chunk(0)..chunk(2)].rotate_left(SEALED_CHUNK_BYTES);
        let file = open(&swapped).expect("the end is sound");
        assert!(file.read(0, 1).is_err() && file.read(CHUNK_BYTES as u64, 1).is_err());
        assert!(file.read(2 * CHUNK_BYTES as u64, 1).is_ok());
        let mut changed = whole;
        changed[chunk(1) + 9] ^= 1;
        assert!(open(&changed).expect("the end is sound").read(CHUNK_BYTES as u64, 1).is_err());
    }
}
