//! The header of a backup. Chunks follow it.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSBACKUP"
//!      8       2  format, 1
//!     10       2  format of the store, see `sled_store::meta`
//!     12       4  reserved, 0
//!     16      16  id of the backup, which makes the key of its authentication its own
//!     32      16  identity of the keyring
//!     48       8  epoch of the store
//!     56       8  moment of the backup as a position in the journal: offset, then segment
//!     64       8  moment of the backup in microseconds since the Unix epoch
//!     72       4  retention clock in minutes since the Unix epoch, 0 if not known
//!     76      32  reserved, 0
//!    108       4  CRC-32C of everything before
//!    112      16  start of the HMAC-SHA-256 of everything before
//! ```

use super::chain::{ChainMac, MAC_BYTES};
use super::error::BackupFault;
use crate::bytes::{array_at, crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::journal::Position;
use crate::sled_store::STORE_FORMAT;

const MAGIC: &[u8; 8] = b"PSBACKUP";
const BACKUP_FORMAT: u16 = 1;
/// Bytes of an id and of an identity.
pub(crate) const ID_BYTES: usize = 16;

const FORMAT_AT: usize = 8;
const STORE_FORMAT_AT: usize = 10;
const RESERVED: std::ops::Range<usize> = 12..16;
const ID_AT: usize = 16;
const KEYRING_AT: usize = 32;
const EPOCH_AT: usize = 48;
const POSITION_AT: usize = 56;
const TIME_AT: usize = 64;
const CLOCK_MINUTES_AT: usize = 72;
const LATER: std::ops::Range<usize> = 76..108;
const CRC_AT: usize = 108;
const MAC_AT: usize = CRC_AT + 4;
/// Bytes of the header.
pub(crate) const BACKUP_HEADER_BYTES: usize = MAC_AT + MAC_BYTES;

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackupHeader {
    pub(crate) id: [u8; ID_BYTES],
    pub(crate) keyring: [u8; ID_BYTES],
    pub(crate) epoch: u64,
    pub(crate) position: Position,
    /// In microseconds since the Unix epoch.
    pub(crate) time: i64,
    pub(crate) clock_minutes: u32,
}

impl BackupHeader {
    /// Returns the bytes, and begins the chain of authentication with them.
    pub(crate) fn encode(&self, chain: &mut ChainMac) -> Vec<u8> {
        let mut bytes = vec![0; BACKUP_HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &BACKUP_FORMAT.to_le_bytes());
        put(&mut bytes, STORE_FORMAT_AT, &STORE_FORMAT.to_le_bytes());
        put(&mut bytes, ID_AT, &self.id);
        put(&mut bytes, KEYRING_AT, &self.keyring);
        put(&mut bytes, EPOCH_AT, &self.epoch.to_le_bytes());
        put(&mut bytes, POSITION_AT, &self.position.to_u64().to_le_bytes());
        put(&mut bytes, TIME_AT, &self.time.to_le_bytes());
        put(&mut bytes, CLOCK_MINUTES_AT, &self.clock_minutes.to_le_bytes());
        put_crc(&mut bytes, CRC_AT);
        let mac = chain.next(&bytes[..MAC_AT]);
        put(&mut bytes, MAC_AT, &mac);
        bytes
    }

    /// Reads a header. Its authentication is checked by [`Self::authenticate`].
    pub(crate) fn decode(bytes: &[u8; BACKUP_HEADER_BYTES]) -> Result<Self, BackupFault> {
        if !bytes.starts_with(MAGIC) {
            return Err(BackupFault::NoBackup);
        }
        let format = u16_at(bytes, FORMAT_AT);
        if format != BACKUP_FORMAT {
            return Err(BackupFault::Format { what: "the backup", found: format, supported: BACKUP_FORMAT });
        }
        if !crc_matches(bytes, CRC_AT) {
            return Err(BackupFault::damaged(0, "the checksum of its header is wrong"));
        }
        let store = u16_at(bytes, STORE_FORMAT_AT);
        if store != STORE_FORMAT {
            return Err(BackupFault::Format { what: "the store in the backup", found: store, supported: STORE_FORMAT });
        }
        if bytes[RESERVED].iter().chain(&bytes[LATER]).any(|byte| *byte != 0) {
            return Err(BackupFault::Format { what: "a reserved field of the backup", found: 1, supported: 0 });
        }
        Ok(Self {
            id: array_at(bytes, ID_AT),
            keyring: array_at(bytes, KEYRING_AT),
            epoch: u64_at(bytes, EPOCH_AT),
            position: Position::from_u64(u64_at(bytes, POSITION_AT)),
            time: i64::from_le_bytes(array_at(bytes, TIME_AT)),
            clock_minutes: u32_at(bytes, CLOCK_MINUTES_AT),
        })
    }

    /// Checks the authentication of a header, and begins the chain with it.
    pub(crate) fn authenticate(bytes: &[u8; BACKUP_HEADER_BYTES], chain: &mut ChainMac) -> Result<(), BackupFault> {
        match chain.check(&bytes[..MAC_AT], &array_at(bytes, MAC_AT)) {
            true => Ok(()),
            false => Err(BackupFault::damaged(0, "its header was changed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_bytes_that_the_table_above_shows_and_reads_back() {
        let header = BackupHeader {
            id: [1; ID_BYTES],
            keyring: [2; ID_BYTES],
            epoch: 3,
            position: Position::new(5, 4),
            time: 6,
            clock_minutes: 7,
        };
        let mut bytes = header.encode(&mut ChainMac::new(&[9; 32]));
        let fields = [
            &b"PSBACKUP"[..],
            &[1, 0, 4, 0, 0, 0, 0, 0],
            &[1; 16],
            &[2; 16],
            &[3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0],
            &[7, 0, 0, 0],
            &[0; 32],
        ];
        assert_eq!(bytes[..CRC_AT], fields.concat());
        let whole = array_at(&bytes, 0);
        assert_eq!(BackupHeader::decode(&whole).expect("it was written"), header);
        BackupHeader::authenticate(&whole, &mut ChainMac::new(&[9; 32])).expect("it is authentic");
        BackupHeader::authenticate(&whole, &mut ChainMac::new(&[8; 32])).expect_err("another key");
        bytes[LATER.start] = 1;
        put_crc(&mut bytes, CRC_AT);
        assert!(matches!(BackupHeader::decode(&array_at(&bytes, 0)), Err(BackupFault::Format { found: 1, .. })));
    }
}
