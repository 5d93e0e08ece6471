//! What remains of an erased user: a tombstone.
//!
//! An erasure ends a *generation* of a user. Everything that was stored of the generation is sealed under a key that is
//! destroyed. The tombstone is sealed under a key of the system, and it is what a later generation continues from: revisions
//! and sequences go on, and events up to the erasure stay refused.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  format, 1
//!      1       1  reason: 1 citizen, 2 administrator, 3 restored
//!      2       1  1 if third parties may have known of the user, else 0
//!      3       8  erased_at, in microseconds since the Unix epoch
//!     11       8  last revision
//!     19       8  last sequence
//! ```

use crate::named_enum;

named_enum! {
    /// Why a user was erased.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ErasureReason {
        /// The citizen asked for it.
        Citizen = 1 => "citizen_request",
        /// An administrator did it on the citizen's behalf.
        Administrator = 2 => "administrator",
        /// The server found the key destroyed, and no tombstone: a backup from before the erasure was restored.
        Restored = 3 => "restored",
    }
}

/// The end of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The generation that has ended.
    pub generation: u32,
    /// When it ended, in microseconds since the Unix epoch. Events that are not later stay refused, so it is never before
    /// an event of the generation: that one's time may be ahead of the clock.
    pub erased_at: i64,
    /// Why it ended.
    pub reason: ErasureReason,
    /// The last revision. The next generation's first one follows it.
    pub last_revision: u64,
    /// The sequence of the tombstone's own record, which is the last one of the generation.
    pub last_sequence: u64,
    /// Whether third parties may have known of the user: then they are told of the erasure.
    pub was_shared: bool,
}

/// Bytes of an encoded tombstone.
pub const TOMBSTONE_BYTES: usize = 27;

const FORMAT: u8 = 1;
const REASON_AT: usize = 1;
const SHARED_AT: usize = 2;
const ERASED_AT: usize = 3;
const REVISION_AT: usize = 11;
const SEQUENCE_AT: usize = 19;

impl Tombstone {
    /// Encodes the tombstone. The generation is not in it: it is part of every label that it is sealed under.
    #[must_use]
    pub fn encode(&self) -> [u8; TOMBSTONE_BYTES] {
        let mut bytes = [0; TOMBSTONE_BYTES];
        bytes[0] = FORMAT;
        bytes[REASON_AT] = self.reason as u8;
        bytes[SHARED_AT] = u8::from(self.was_shared);
        bytes[ERASED_AT..REVISION_AT].copy_from_slice(&self.erased_at.to_le_bytes());
        bytes[REVISION_AT..SEQUENCE_AT].copy_from_slice(&self.last_revision.to_le_bytes());
        bytes[SEQUENCE_AT..].copy_from_slice(&self.last_sequence.to_le_bytes());
        bytes
    }

    /// Decodes what [`Self::encode`] made for `generation`; `None` if it did not make `bytes`.
    #[must_use]
    pub fn decode(bytes: &[u8], generation: u32) -> Option<Self> {
        let bytes: &[u8; TOMBSTONE_BYTES] = bytes.try_into().ok()?;
        let reason = ErasureReason::ALL.into_iter().find(|reason| *reason as u8 == bytes[REASON_AT])?;
        if bytes[0] != FORMAT || bytes[SHARED_AT] > 1 {
            return None;
        }
        let number = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        Some(Self {
            generation,
            erased_at: number(ERASED_AT)?.cast_signed(),
            reason,
            last_revision: number(REVISION_AT)?,
            last_sequence: number(SEQUENCE_AT)?,
            was_shared: bytes[SHARED_AT] == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_has_the_bytes_that_the_table_shows_and_reads_back() {
        let reason = ErasureReason::Administrator;
        let (erased_at, last_revision, last_sequence) = (-2, 0x0102, 0x0304);
        let tombstone = Tombstone { generation: 7, erased_at, reason, last_revision, last_sequence, was_shared: true };
        let bytes = tombstone.encode();
        let revision = [2, 1, 0, 0, 0, 0, 0, 0];
        let sequence = [4, 3, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes[..], [&[1, 2, 1, 0xfe][..], &[0xff; 7], &revision, &sequence].concat());
        assert_eq!(Tombstone::decode(&bytes, 7), Some(tombstone));
        for (at, unknown) in [(0, 2), (REASON_AT, 0), (REASON_AT, 4), (SHARED_AT, 2)] {
            let mut bytes = bytes;
            bytes[at] = unknown;
            assert_eq!(Tombstone::decode(&bytes, 7), None, "{at}");
        }
        assert_eq!(Tombstone::decode(&bytes[1..], 7), None);
    }
}
