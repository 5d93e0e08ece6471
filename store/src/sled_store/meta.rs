//! The meta record, one value in sled: the store's format and epoch, and how far the checkpoints reach.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       2  format of the store, 4
//!      2       6  reserved, 0
//!      8       8  epoch
//!     16       8  checkpoint, a position in the journal: offset, then segment
//!     24       4  first unused slot of the keyring + 1, 0 if not known
//!     28       4  retention clock in minutes since the Unix epoch, 0 if not known
//! ```

use crate::bytes::{put, u16_at, u32_at, u64_at};
use crate::error::OpenError;
use crate::journal::Position;

/// The format of the store as a whole.
pub(crate) const STORE_FORMAT: u16 = 4;
const META_BYTES: usize = 32;

const RESERVED_AT: usize = 2;
const EPOCH_AT: usize = 8;
const CHECKPOINT_AT: usize = 16;
const FIRST_UNUSED_SLOT_AT: usize = 24;
const CLOCK_MINUTES_AT: usize = 28;

/// What the store has to know about itself at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Changes when a backup is restored. Drawn at random, so that two stores differ.
    pub(crate) epoch: u64,
    /// All frames before this position are folded into sled.
    pub(crate) checkpoint: Position,
    /// After a clean shutdown: the first slot of the keyring that nothing refers to. Only valid if the journal ends at
    /// `checkpoint`.
    pub(crate) first_unused_slot: Option<u32>,
    /// What the retention clock showed, in minutes since the Unix epoch; 0 if not known.
    pub(crate) clock_minutes: u32,
}

impl Meta {
    pub(super) fn encode(&self) -> [u8; META_BYTES] {
        let mut bytes = [0; META_BYTES];
        put(&mut bytes, 0, &STORE_FORMAT.to_le_bytes());
        put(&mut bytes, EPOCH_AT, &self.epoch.to_le_bytes());
        put(&mut bytes, CHECKPOINT_AT, &self.checkpoint.to_u64().to_le_bytes());
        let first_unused_slot = self.first_unused_slot.map_or(0, |slot| slot + 1);
        put(&mut bytes, FIRST_UNUSED_SLOT_AT, &first_unused_slot.to_le_bytes());
        put(&mut bytes, CLOCK_MINUTES_AT, &self.clock_minutes.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let damaged = || OpenError::Damaged { what: "sled's meta record", detail: "its length is wrong".to_owned() };
        if bytes.len() < size_of::<u16>() {
            return Err(damaged());
        }
        let format = u16_at(bytes, 0);
        if format != STORE_FORMAT {
            return Err(OpenError::other_format("the store", format, STORE_FORMAT));
        }
        if bytes.len() != META_BYTES {
            return Err(damaged());
        }
        if bytes[RESERVED_AT..EPOCH_AT].iter().any(|reserved| *reserved != 0) {
            return Err(OpenError::other_format("a reserved field of the store", u16_at(bytes, RESERVED_AT).max(1), 0));
        }
        Ok(Self {
            epoch: u64_at(bytes, EPOCH_AT),
            checkpoint: Position::from_u64(u64_at(bytes, CHECKPOINT_AT)),
            first_unused_slot: u32_at(bytes, FIRST_UNUSED_SLOT_AT).checked_sub(1),
            clock_minutes: u32_at(bytes, CLOCK_MINUTES_AT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_named_and_not_read() {
        let (checkpoint, first_unused_slot) = (Position::new(3, 4096), Some(7));
        let meta = Meta { epoch: 5, checkpoint, first_unused_slot, clock_minutes: 9 };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes).expect("it was written"), meta);
        let picture =
            [[4, 0, 0, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0], [0, 16, 0, 0, 3, 0, 0, 0], [8, 0, 0, 0, 9, 0, 0, 0]];
        assert_eq!(bytes, picture.as_flattened());
        // The older formats had the same layout, but for the minutes; what was stored beside the record differed.
        for older in [1, 2, 3] {
            let mut bytes = bytes;
            bytes[..2].copy_from_slice(&u16::to_le_bytes(older));
            let error = Meta::decode(&bytes).expect_err("refused");
            assert!(matches!(error, OpenError::OlderFormat { found, supported: 4, .. } if found == older), "{error}");
        }
        let error = Meta::decode(&[&[5, 0], &bytes[2..], &[0]].concat()).expect_err("refused");
        assert!(matches!(error, OpenError::NewerFormat { found: 5, supported: 4, .. }), "{error}");
        let mut reserved = bytes;
        reserved[RESERVED_AT + 3] = 1;
        let error = Meta::decode(&reserved).expect_err("refused");
        assert!(matches!(error, OpenError::NewerFormat { found: 1, supported: 0, .. }), "{error}");
    }
}
