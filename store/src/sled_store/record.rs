//! A sealed record as sled holds it: an unencrypted header and the sealed body, cut into values that sled keeps in its
//! log. The first value starts with the header:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  format, 2
//!      1       1  kind, as in `seal::kind`
//!      2       2  number of values that the record takes
//!      4       4  slot of the data key in the keyring
//!      8       4  generation of that key
//!     12       8  sequence, number of the side record, or time, by kind
//!     20       4  bytes of the body before compression
//!     24       4  dictionary of the compression, 0 if none; 2^32 - 1 if the body is not compressed
//!     28       4  tenant, 0
//!     32      12  nonce of the seal
//!     44       n  body, compressed and encrypted, and the tag of its seal
//! ```

use crate::bytes::{array_at, put, u16_at, u32_at, u64_at};
use crate::seal::{Label, NONCE_BYTES, TENANT, kind};
use crate::user_hash::UserHash;

/// The format of records.
const RECORD_FORMAT: u8 = 2;
/// Maximum number of bytes of a value. sled moves large pages to files that it never syncs, so values stay well below.
pub(crate) const MAX_VALUE_BYTES: usize = 4000;

/// Stands for a dictionary in the record of a body that is not compressed.
pub(super) const NOT_COMPRESSED: u32 = u32::MAX;

const KIND_AT: usize = 1;
const VALUES_AT: usize = 2;
const SLOT_AT: usize = 4;
const GENERATION_AT: usize = 8;
const NUMBER_AT: usize = 12;
const PLAIN_BYTES_AT: usize = 20;
const DICTIONARY_AT: usize = 24;
const TENANT_AT: usize = 28;
const NONCE_AT: usize = 32;
const RECORD_HEADER_BYTES: usize = NONCE_AT + NONCE_BYTES;

/// A sealed record. The seal also covers the header fields that say where the record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedRecord {
    pub(crate) kind: u8,
    /// The user it belongs to. It is part of the seal and of the record's key in sled, so it is not stored again.
    pub(crate) user: UserHash,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// A user's sequence, a side record's number, or a dead letter's time.
    pub(crate) number: u64,
    /// Bytes of the body before compression.
    pub(crate) plain_bytes: u32,
    /// The dictionary that the body was compressed with; 0 if none, or [`NOT_COMPRESSED`].
    pub(crate) dictionary: u32,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) sealed: Vec<u8>,
}

impl SealedRecord {
    /// Returns the label under which the body is sealed.
    pub(crate) fn label(&self) -> Label {
        let Self { kind, user, slot, generation, number, .. } = *self;
        Label { kind, format: RECORD_FORMAT, tenant: TENANT, slot, generation, number, user }
    }

    /// Returns a record whose body is still to be sealed.
    pub(crate) fn unsealed(kind: u8, user: UserHash, slot: u32, generation: u32, number: u64) -> Self {
        let (plain_bytes, dictionary, nonce, sealed) = (0, 0, [0; NONCE_BYTES], Vec::new());
        Self { kind, user, slot, generation, number, plain_bytes, dictionary, nonce, sealed }
    }

    /// Returns whether the record holds a user's state of a generation, and not a tombstone.
    pub(crate) fn is_state_of(&self, generation: u32) -> bool {
        self.kind == kind::USER && self.generation == generation
    }

    /// Returns how many values the record takes.
    pub(crate) fn count(&self) -> u16 {
        let rest = self.sealed.len().saturating_sub(MAX_VALUE_BYTES - RECORD_HEADER_BYTES);
        (1 + rest.div_ceil(MAX_VALUE_BYTES)) as u16
    }

    /// Returns the values to store, in order.
    pub(crate) fn chunks(&self) -> Vec<Vec<u8>> {
        let first_bytes = MAX_VALUE_BYTES - RECORD_HEADER_BYTES;
        let (head, rest) = self.sealed.split_at(self.sealed.len().min(first_bytes));
        let mut first = Vec::with_capacity(RECORD_HEADER_BYTES + head.len());
        first.extend_from_slice(&self.header());
        first.extend_from_slice(head);
        std::iter::once(first).chain(rest.chunks(MAX_VALUE_BYTES).map(<[u8]>::to_vec)).collect()
    }

    fn header(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut header = [0; RECORD_HEADER_BYTES];
        header[0] = RECORD_FORMAT;
        header[KIND_AT] = self.kind;
        put(&mut header, VALUES_AT, &self.count().to_le_bytes());
        put(&mut header, SLOT_AT, &self.slot.to_le_bytes());
        put(&mut header, GENERATION_AT, &self.generation.to_le_bytes());
        put(&mut header, NUMBER_AT, &self.number.to_le_bytes());
        put(&mut header, PLAIN_BYTES_AT, &self.plain_bytes.to_le_bytes());
        put(&mut header, DICTIONARY_AT, &self.dictionary.to_le_bytes());
        put(&mut header, TENANT_AT, &TENANT.to_le_bytes());
        put(&mut header, NONCE_AT, &self.nonce);
        header
    }

    /// Returns how many values are taken by the record that starts with the value `first`; `None` if its format or
    /// tenant is unknown.
    pub(crate) fn chunk_count(first: &[u8]) -> Option<u16> {
        let header = first.first_chunk::<RECORD_HEADER_BYTES>()?;
        let is_known = header[0] == RECORD_FORMAT && u32_at(header, TENANT_AT) == TENANT;
        is_known.then(|| u16_at(header, VALUES_AT))
    }

    /// Reads the header in the value `first` and the part of the body behind it. The caller appends the other values to
    /// `sealed`. `user` is the user that the record's key names.
    pub(crate) fn from_first(first: &[u8], user: UserHash) -> Option<Self> {
        let (header, sealed) = first.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        Some(Self {
            kind: header[KIND_AT],
            user,
            slot: u32_at(header, SLOT_AT),
            generation: u32_at(header, GENERATION_AT),
            number: u64_at(header, NUMBER_AT),
            plain_bytes: u32_at(header, PLAIN_BYTES_AT),
            dictionary: u32_at(header, DICTIONARY_AT),
            nonce: array_at(header, NONCE_AT),
            sealed: sealed.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::TAG_BYTES;

    #[test]
    fn a_header_has_the_bytes_that_the_table_above_shows() {
        let record = SealedRecord {
            kind: 0xa1,
            user: UserHash([8; 16]),
            slot: 1,
            generation: 2,
            number: 0x0102,
            plain_bytes: 4,
            dictionary: 6,
            nonce: [5; NONCE_BYTES],
            sealed: vec![7; TAG_BYTES],
        };
        let header = [
            &[2, 0xa1, 1, 0][..],
            &[1, 0, 0, 0, 2, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
            &[4, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0],
            &[5; 12],
            &[7; 16],
        ];
        assert_eq!(record.chunks(), [header.concat()]);
        for (at, unknown) in [(0, 3), (TENANT_AT, 1)] {
            let mut first = header.concat();
            first[at] = unknown;
            assert_eq!(SealedRecord::chunk_count(&first), None);
        }
    }

    #[test]
    fn a_record_of_any_size_reads_back_from_values_below_the_bound() {
        let first = MAX_VALUE_BYTES - RECORD_HEADER_BYTES;
        let second = first + MAX_VALUE_BYTES;
        for size in [TAG_BYTES, first - 1, first, first + 1, second, second + 1, 100_000] {
            let record = SealedRecord {
                kind: 7,
                user: UserHash([8; 16]),
                slot: 1,
                generation: 2,
                number: 3,
                plain_bytes: 4,
                dictionary: 6,
                nonce: [5; NONCE_BYTES],
                sealed: (0..size).map(|byte| byte as u8).collect(),
            };
            let chunks = record.chunks();
            assert!(chunks.iter().all(|chunk| chunk.len() <= MAX_VALUE_BYTES));
            assert_eq!(SealedRecord::chunk_count(&chunks[0]), Some(chunks.len() as u16));
            let mut back = SealedRecord::from_first(&chunks[0], record.user).expect("a header");
            chunks[1..].iter().for_each(|chunk| back.sealed.extend_from_slice(chunk));
            assert_eq!(back, record, "{size}");
        }
    }
}
