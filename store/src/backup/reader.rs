//! Reading a backup, chunk by chunk, each of which is checked before it is handed out.

use std::io::{self, Read};

use super::chain::{ChainMac, keyring_identity};
use super::chunk::{CHUNK_HEADER_BYTES, Chunk, Totals};
use super::error::{BackupFault, RestoreError};
use super::header::{BACKUP_HEADER_BYTES, BackupHeader};
use crate::SystemKeys;
use crate::bytes::put;

/// Reads a backup from its start to its end.
pub(super) struct BackupReader<'a> {
    input: &'a mut dyn Read,
    header_bytes: [u8; BACKUP_HEADER_BYTES],
    header: BackupHeader,
    chain: Option<ChainMac>,
    totals: Totals,
    bytes: u64,
    is_done: bool,
}

impl<'a> BackupReader<'a> {
    /// Reads and checks the header.
    pub(super) fn begin(input: &'a mut dyn Read) -> Result<Self, BackupFault> {
        let mut header_bytes = [0; BACKUP_HEADER_BYTES];
        fill(input, &mut header_bytes, 0)?;
        let header = BackupHeader::decode(&header_bytes)?;
        let bytes = BACKUP_HEADER_BYTES as u64;
        Ok(Self { input, header_bytes, header, chain: None, totals: Totals::default(), bytes, is_done: false })
    }

    pub(super) fn header(&self) -> &BackupHeader {
        &self.header
    }

    pub(super) fn header_bytes(&self) -> &[u8; BACKUP_HEADER_BYTES] {
        &self.header_bytes
    }

    /// Checks that the keys fit the backup, and that it is authentic, from here on.
    pub(super) fn authenticate(&mut self, keys: &SystemKeys) -> Result<(), RestoreError> {
        if keyring_identity(keys) != self.header.keyring {
            return Err(RestoreError::WrongKeyring);
        }
        let mut chain = ChainMac::for_backup(keys, &self.header.id);
        BackupHeader::authenticate(&self.header_bytes, &mut chain)?;
        self.chain = Some(chain);
        Ok(())
    }

    /// Returns the next chunk; `None` after the end, whose totals were compared.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>, BackupFault> {
        if self.is_done {
            return Ok(None);
        }
        let number = self.totals.chunks + 1;
        let mut header = [0; CHUNK_HEADER_BYTES];
        fill(self.input, &mut header, number)?;
        let mut bytes = vec![0; CHUNK_HEADER_BYTES + Chunk::rest_bytes(&header, number)?];
        put(&mut bytes, 0, &header);
        fill(self.input, &mut bytes[CHUNK_HEADER_BYTES..], number)?;
        let chunk = Chunk::decode(&bytes, number, self.chain.as_mut())?;
        self.bytes += bytes.len() as u64;
        if let Chunk::End(totals) = chunk {
            if totals != self.totals {
                return Err(BackupFault::damaged(number, "its totals are not those of the chunks"));
            }
            self.is_done = true;
            if self.input.read(&mut [0]).map_err(BackupFault::Unreadable)? > 0 {
                return Err(BackupFault::damaged(number, "something follows its end"));
            }
            return Ok(None);
        }
        self.totals.add(&chunk);
        Ok(Some(chunk))
    }

    /// Returns what was read so far.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns the number of bytes that were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Returns the id of a backup that may be cut off, and how many bytes its header and its whole chunks have. Needs no key: a chunk
/// is whole if its checksum is right.
///
/// # Errors
/// There is no header of a backup.
pub fn whole_chunks(input: &mut dyn Read) -> Result<(u128, u64), BackupFault> {
    let mut reader = BackupReader::begin(input)?;
    while let Ok(Some(_)) = reader.next() {}
    Ok((u128::from_be_bytes(reader.header().id), reader.bytes()))
}

fn fill(input: &mut dyn Read, buffer: &mut [u8], chunk: u64) -> Result<(), BackupFault> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupFault::CutOff { chunk },
        _ => BackupFault::Unreadable(error),
    })
}
