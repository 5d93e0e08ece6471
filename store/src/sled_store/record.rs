//! A sealed record as sled holds it: a header in plain, the sealed body, cut into values that sled keeps in its log.

use crate::seal::{Label, NONCE_BYTES, TENANT};
use crate::user_hash::UserHash;

/// The format of records.
pub(crate) const RECORD_FORMAT: u8 = 1;
/// sled moves large pages to files that it never syncs, so no value comes near them.
pub(crate) const MAX_VALUE_BYTES: usize = 4000;

// Little-endian: format u8, kind u8, chunks u16, then these.
const SLOT_AT: usize = 4;
const GENERATION_AT: usize = 8;
const NUMBER_AT: usize = 12;
const PLAIN_AT: usize = 20;
const DICTIONARY_AT: usize = 24;
const TENANT_AT: usize = 28;
const NONCE_AT: usize = 32;
const RECORD_HEADER_BYTES: usize = NONCE_AT + NONCE_BYTES;

/// A record, sealed. Its seal binds what the header says about where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedRecord {
    pub(crate) kind: u8,
    /// Whose it is: part of the seal and of the key that it lies under, so not stored again.
    pub(crate) user: UserHash,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// The sequence or the revision.
    pub(crate) number: u64,
    /// The body's size before compression.
    pub(crate) plain_bytes: u32,
    /// The dictionary that it was compressed with; 0 = none.
    pub(crate) dictionary: u32,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) sealed: Vec<u8>,
}

impl SealedRecord {
    pub(crate) fn label(&self) -> Label {
        let Self { kind, user, slot, generation, number, .. } = *self;
        Label { kind, format: RECORD_FORMAT, tenant: TENANT, slot, generation, number, user }
    }

    /// A record without its body yet.
    pub(crate) fn unsealed(kind: u8, user: UserHash, slot: u32, generation: u32, number: u64) -> Self {
        let (plain_bytes, dictionary, nonce, sealed) = (0, 0, [0; NONCE_BYTES], Vec::new());
        Self { kind, user, slot, generation, number, plain_bytes, dictionary, nonce, sealed }
    }

    /// How many values it takes.
    pub(crate) fn count(&self) -> u16 {
        let rest = self.sealed.len().saturating_sub(MAX_VALUE_BYTES - RECORD_HEADER_BYTES);
        (1 + rest.div_ceil(MAX_VALUE_BYTES)) as u16
    }

    /// The values to store, in order.
    pub(crate) fn chunks(&self) -> Vec<Vec<u8>> {
        let room = MAX_VALUE_BYTES - RECORD_HEADER_BYTES;
        let (head, rest) = self.sealed.split_at(self.sealed.len().min(room));
        let count = self.count();
        let mut first = Vec::with_capacity(RECORD_HEADER_BYTES + head.len());
        first.extend_from_slice(&[RECORD_FORMAT, self.kind]);
        first.extend_from_slice(&count.to_le_bytes());
        first.extend_from_slice(&self.slot.to_le_bytes());
        first.extend_from_slice(&self.generation.to_le_bytes());
        first.extend_from_slice(&self.number.to_le_bytes());
        first.extend_from_slice(&self.plain_bytes.to_le_bytes());
        first.extend_from_slice(&self.dictionary.to_le_bytes());
        first.extend_from_slice(&TENANT.to_le_bytes());
        first.extend_from_slice(&self.nonce);
        first.extend_from_slice(head);
        std::iter::once(first).chain(rest.chunks(MAX_VALUE_BYTES).map(<[u8]>::to_vec)).collect()
    }

    /// How many values the record in this first one has.
    pub(crate) fn chunk_count(first: &[u8]) -> Option<u16> {
        let header = first.first_chunk::<RECORD_HEADER_BYTES>()?;
        let is_known = header[0] == RECORD_FORMAT && header[TENANT_AT..NONCE_AT] == TENANT.to_le_bytes();
        is_known.then(|| u16::from_le_bytes([header[2], header[3]]))
    }

    /// Reads the header of a first value and as much of the body as it holds; the rest is appended to `sealed`.
    /// `user` is whose it has to be.
    pub(crate) fn from_first(first: &[u8], user: UserHash) -> Option<Self> {
        let (header, sealed) = first.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        Some(Self {
            kind: header[1],
            user,
            slot: u32::from_le_bytes(array_at(header, SLOT_AT)),
            generation: u32::from_le_bytes(array_at(header, GENERATION_AT)),
            number: u64::from_le_bytes(array_at(header, NUMBER_AT)),
            plain_bytes: u32::from_le_bytes(array_at(header, PLAIN_AT)),
            dictionary: u32::from_le_bytes(array_at(header, DICTIONARY_AT)),
            nonce: array_at(header, NONCE_AT),
            sealed: sealed.to_vec(),
        })
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_size_reads_back_from_values_below_the_bound() {
        for size in [16, 3955, 3956, 3957, 7956, 7957, 100_000] {
            let record = SealedRecord {
                kind: 7,
                user: UserHash([8; 16]),
                slot: 1,
                generation: 2,
                number: 3,
                plain_bytes: 4,
                dictionary: 6,
                nonce: [5; 12],
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
