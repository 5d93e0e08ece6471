//! The chunks of a backup, which follow its header.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       4  bytes of the content, n
//!      4       1  kind: 1 values of trees, 2 the slot of the columns' key, 3 part of a file, 4 the end
//!      5       3  reserved, 0
//!      8       8  number of the chunk, from 1
//!     16       n  content
//! 16 + n       4  CRC-32C of everything before
//! 20 + n      16  start of the HMAC-SHA-256 of the authentication of the part before, and of everything before
//! ```
//!
//! The content of values is one value behind the other, in the form of `sled_store::snapshot`. That of a part of a file:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       2  bytes of the name, m
//!      2       8  offset of the part in the file
//!     10       m  name, with `/` before the name in a directory
//! 10 + m          the part
//! ```
//!
//! That of the end:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  number of chunks before it
//!      8       8  number of values
//!     16       8  bytes of files
//! ```

use super::chain::{ChainMac, MAC_BYTES};
use super::error::BackupFault;
use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::sled_store::TreeValue;

/// Bytes of a chunk before its content.
pub(crate) const CHUNK_HEADER_BYTES: usize = 16;
/// Bytes of a chunk after its content.
pub(crate) const CHUNK_TAIL_BYTES: usize = 4 + MAC_BYTES;
/// Maximum number of bytes of a content.
pub(crate) const MAX_CONTENT_BYTES: usize = 4 << 20;

const KIND_AT: usize = 4;
const NUMBER_AT: usize = 8;
const VALUES: u8 = 1;
const PROJECTION_KEY: u8 = 2;
const FILE: u8 = 3;
const END: u8 = 4;
const FILE_HEADER_BYTES: usize = 10;

/// The content of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Values(Vec<TreeValue>),
    /// The value in sled that says which slot of the keyring has the key of the columns.
    ProjectionKey(Vec<u8>),
    FilePart(FilePart),
    End(Totals),
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FilePart {
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a backup has, which its end says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) chunks: u64,
    pub(crate) values: u64,
    pub(crate) file_bytes: u64,
}

impl Totals {
    /// Counts a chunk.
    pub(crate) fn add(&mut self, chunk: &Chunk) {
        self.chunks += 1;
        match chunk {
            Chunk::Values(values) => self.values += values.len() as u64,
            Chunk::FilePart(part) => self.file_bytes += part.bytes.len() as u64,
            Chunk::ProjectionKey(_) | Chunk::End(_) => {}
        }
    }
}

impl Chunk {
    /// Returns the bytes of the chunk with a number.
    pub(crate) fn encode(&self, number: u64, chain: &mut ChainMac) -> Vec<u8> {
        let mut bytes = vec![0; CHUNK_HEADER_BYTES];
        let kind = match self {
            Self::Values(values) => {
                values.iter().for_each(|value| value.encode(&mut bytes));
                VALUES
            }
            Self::ProjectionKey(value) => {
                bytes.extend_from_slice(value);
                PROJECTION_KEY
            }
            Self::FilePart(part) => {
                bytes.extend_from_slice(&(part.name.len() as u16).to_le_bytes());
                bytes.extend_from_slice(&part.offset.to_le_bytes());
                bytes.extend_from_slice(part.name.as_bytes());
                bytes.extend_from_slice(&part.bytes);
                FILE
            }
            Self::End(totals) => {
                for number in [totals.chunks, totals.values, totals.file_bytes] {
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
                END
            }
        };
        let content = bytes.len() - CHUNK_HEADER_BYTES;
        put(&mut bytes, 0, &(content as u32).to_le_bytes());
        bytes[KIND_AT] = kind;
        put(&mut bytes, NUMBER_AT, &number.to_le_bytes());
        let crc_at = bytes.len();
        bytes.resize(crc_at + 4, 0);
        put_crc(&mut bytes, crc_at);
        let mac = chain.next(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// Returns the number of bytes that follow the header of a chunk.
    pub(crate) fn rest_bytes(header: &[u8; CHUNK_HEADER_BYTES], number: u64) -> Result<usize, BackupFault> {
        let content = u32_at(header, 0) as usize;
        if content > MAX_CONTENT_BYTES {
            return Err(BackupFault::damaged(number, "its length is wrong"));
        }
        Ok(content + CHUNK_TAIL_BYTES)
    }

    /// Reads the whole chunk that has `number`. Without `chain`, it is not authenticated.
    pub(crate) fn decode(bytes: &[u8], number: u64, chain: Option<&mut ChainMac>) -> Result<Self, BackupFault> {
        let damaged = |what| BackupFault::damaged(number, what);
        let mac_at = bytes.len() - MAC_BYTES;
        let crc_at = mac_at - 4;
        if !crc_matches(&bytes[..mac_at], crc_at) {
            return Err(damaged("its checksum is wrong"));
        }
        if u64_at(bytes, NUMBER_AT) != number {
            return Err(damaged("it is not the one that follows"));
        }
        if chain.is_some_and(|chain| !chain.check(&bytes[..mac_at], &array_at(bytes, mac_at))) {
            return Err(damaged("it was changed, or belongs to another backup"));
        }
        if bytes[KIND_AT + 1..NUMBER_AT].iter().any(|byte| *byte != 0) {
            return Err(BackupFault::Format { what: "a reserved field of the backup", found: 1, supported: 0 });
        }
        let content = &bytes[CHUNK_HEADER_BYTES..crc_at];
        match bytes[KIND_AT] {
            VALUES => decode_values(content).map(Self::Values).ok_or_else(|| damaged("its values cannot be read")),
            PROJECTION_KEY => Ok(Self::ProjectionKey(content.to_vec())),
            FILE => decode_file(content).map(Self::FilePart).ok_or_else(|| damaged("its file cannot be read")),
            END if content.len() == 24 => {
                let [chunks, values, file_bytes] = [0, 8, 16].map(|at| u64_at(content, at));
                Ok(Self::End(Totals { chunks, values, file_bytes }))
            }
            END => Err(damaged("its length is wrong")),
            kind => Err(BackupFault::Format { what: "a chunk of the backup", found: u16::from(kind), supported: 4 }),
        }
    }
}

fn decode_values(mut content: &[u8]) -> Option<Vec<TreeValue>> {
    let mut values = Vec::new();
    while !content.is_empty() {
        let (value, rest) = TreeValue::decode(content)?;
        values.push(value);
        content = rest;
    }
    Some(values)
}

fn decode_file(content: &[u8]) -> Option<FilePart> {
    let (header, rest) = content.split_at_checked(FILE_HEADER_BYTES)?;
    let (name, bytes) = rest.split_at_checked(usize::from(u16_at(header, 0)))?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some(FilePart { name, offset: u64_at(header, 2), bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_read_back_and_a_changed_byte_is_found_with_and_without_the_key() {
        let part = FilePart { name: "audit/tree.nodes".to_owned(), offset: 7, bytes: vec![1, 2, 3] };
        let totals = Totals { chunks: 1, values: 2, file_bytes: 3 };
        for chunk in [Chunk::FilePart(part), Chunk::End(totals), Chunk::ProjectionKey(vec![4; 8])] {
            let bytes = chunk.encode(9, &mut ChainMac::new(&[5; 32]));
            let header = array_at(&bytes, 0);
            assert_eq!(Chunk::rest_bytes(&header, 9).expect("a length"), bytes.len() - CHUNK_HEADER_BYTES);
            let read = |bytes: &[u8], key: Option<u8>, number| {
                Chunk::decode(bytes, number, key.map(|key| ChainMac::new(&[key; 32])).as_mut())
            };
            assert_eq!(read(&bytes, Some(5), 9).expect("it was written"), chunk);
            assert_eq!(read(&bytes, None, 9).expect("it was written"), chunk);
            read(&bytes, Some(6), 9).expect_err("another key");
            read(&bytes, None, 8).expect_err("another number");
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 0x10;
                read(&bytes, Some(5), 9).expect_err("a changed byte");
            }
        }
    }
}
