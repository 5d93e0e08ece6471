//! The header of the saved projection. The pieces follow it.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       8  "PSCOLUMN"
//!      8       2  format, 1
//!     10       6  reserved, 0
//!     16       8  epoch of the store
//!     24       8  position in the journal: offset, then segment
//!     32       4  layout of the content
//!     36       4  slot of the data key in the keyring
//!     40       4  number of pieces
//!     44      16  reserved, 0
//!     60       4  CRC-32C of everything before
//! ```
//!
//! A piece:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       4  n
//!      4      12  nonce of the seal
//!     16       n  content, encrypted
//! 16 + n      16  tag of the seal
//! ```

use crate::bytes::{crc_matches, put, put_crc, u16_at, u32_at, u64_at};
use crate::journal::Position;
use crate::keyring::FIRST_GENERATION;
use crate::seal::{Label, NONCE_BYTES, TENANT, kind};
use crate::user_hash::UserHash;

pub(super) const HEADER_BYTES: usize = 64;
/// Bytes of a piece before its content.
pub(super) const PIECE_HEADER_BYTES: usize = 4 + NONCE_BYTES;
const MAGIC: &[u8; 8] = b"PSCOLUMN";
const FORMAT: u16 = 1;

const FORMAT_AT: usize = 8;
const RESERVED: std::ops::Range<usize> = 10..16;
const EPOCH_AT: usize = 16;
const POSITION_AT: usize = 24;
const LAYOUT_AT: usize = 32;
const SLOT_AT: usize = 36;
const PIECES_AT: usize = 40;
const LATER: std::ops::Range<usize> = 44..60;
const CRC_AT: usize = HEADER_BYTES - 4;

/// The header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: u64,
    /// The file has everything up to this position.
    pub(super) position: Position,
    pub(super) layout: u32,
    pub(super) slot: u32,
    pub(super) pieces: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, FORMAT_AT, &FORMAT.to_le_bytes());
        put(&mut bytes, EPOCH_AT, &self.epoch.to_le_bytes());
        put(&mut bytes, POSITION_AT, &self.position.to_u64().to_le_bytes());
        put(&mut bytes, LAYOUT_AT, &self.layout.to_le_bytes());
        put(&mut bytes, SLOT_AT, &self.slot.to_le_bytes());
        put(&mut bytes, PIECES_AT, &self.pieces.to_le_bytes());
        put_crc(&mut bytes, CRC_AT);
        bytes
    }

    /// Returns the header in `bytes`; `None` if it is none, or one of another format.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let is_known = bytes.starts_with(MAGIC) && u16_at(bytes, FORMAT_AT) == FORMAT && crc_matches(bytes, CRC_AT);
        let is_zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|byte| *byte == 0);
        (is_known && is_zero(RESERVED) && is_zero(LATER)).then(|| Self {
            epoch: u64_at(bytes, EPOCH_AT),
            position: Position::from_u64(u64_at(bytes, POSITION_AT)),
            layout: u32_at(bytes, LAYOUT_AT),
            slot: u32_at(bytes, SLOT_AT),
            pieces: u32_at(bytes, PIECES_AT),
        })
    }

    /// Returns the label of a piece's seal. A piece of a file for another position does not open.
    pub(super) fn label(&self, number: u32) -> Label {
        let mut file = [0; 16];
        put(&mut file, 0, &self.epoch.to_le_bytes());
        put(&mut file, 8, &self.position.to_u64().to_le_bytes());
        Label {
            kind: kind::PROJECTION,
            format: FORMAT as u8,
            tenant: TENANT,
            slot: self.slot,
            generation: FIRST_GENERATION,
            number: u64::from(number),
            user: UserHash(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { epoch: 7, position: Position { segment: 2, offset: 3 }, layout: 4, slot: 5, pieces: 6 };

    #[test]
    fn a_header_has_the_bytes_that_the_table_above_shows() {
        let bytes = HEADER.encode();
        let fields = [
            &b"PSCOLUMN"[..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0],
            &[4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0],
            &[0; 16],
        ];
        assert_eq!(bytes[..CRC_AT], fields.concat());
        assert_eq!(Header::decode(&bytes), Some(HEADER));
    }

    #[test]
    fn a_header_with_a_changed_byte_is_none() {
        for at in 0..HEADER_BYTES {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 1;
            assert_eq!(Header::decode(&bytes), None, "byte {at}");
        }
        for at in [FORMAT_AT, RESERVED.start, LATER.start] {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 2;
            put_crc(&mut bytes, CRC_AT);
            assert_eq!(Header::decode(&bytes), None, "field {at}");
        }
    }
}
