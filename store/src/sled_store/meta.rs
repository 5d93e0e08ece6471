//! The store's own facts: format, epoch, and how far the checkpoints reach.

use crate::error::OpenError;
use crate::journal::Position;

/// The format of the store as a whole.
pub(crate) const STORE_FORMAT: u16 = 3;
const META_BYTES: usize = 32;

/// One value in sled, little-endian: format u16, epoch u64 at 8, checkpoint u64 at 16, first unused slot + 1 u32 at 24,
/// clock u32 at 28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Changes when a backup is restored. Drawn at random, so that another store in the same place differs, too.
    pub(crate) epoch: u64,
    /// All frames before it are in the states.
    pub(crate) checkpoint: Position,
    /// After a clean shutdown: the first slot of the keyring that nothing refers to, provided that the journal ends at
    /// `checkpoint`.
    pub(crate) first_unused_slot: Option<u32>,
    /// The time that retention went by then, in minutes since the Unix epoch; 0 = not known.
    pub(crate) clock_minutes: u32,
}

impl Meta {
    pub(super) fn encode(&self) -> [u8; META_BYTES] {
        let mut bytes = [0; META_BYTES];
        bytes[..2].copy_from_slice(&STORE_FORMAT.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.checkpoint.to_u64().to_le_bytes());
        bytes[24..28].copy_from_slice(&self.first_unused_slot.map_or(0, |slot| slot + 1).to_le_bytes());
        bytes[28..].copy_from_slice(&self.clock_minutes.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let damaged = || OpenError::Damaged { what: "sled's meta record", detail: "its length is wrong".to_owned() };
        let format = bytes.first_chunk().map(|format| u16::from_le_bytes(*format)).ok_or_else(damaged)?;
        if format != STORE_FORMAT {
            return Err(OpenError::other_format("the store", format, STORE_FORMAT));
        }
        let bytes: &[u8; META_BYTES] = bytes.try_into().map_err(|_| damaged())?;
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        Ok(Self {
            epoch: long(8),
            checkpoint: Position::from_u64(long(16)),
            first_unused_slot: short(24).checked_sub(1),
            clock_minutes: short(28),
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
        // The formats 1 and 2 had the same layout, but for the minutes; what lay beside the record differed.
        for older in [1, 2] {
            let mut bytes = bytes;
            bytes[..2].copy_from_slice(&u16::to_le_bytes(older));
            let error = Meta::decode(&bytes).expect_err("refused");
            assert!(matches!(error, OpenError::OlderFormat { found, supported: 3, .. } if found == older), "{error}");
        }
        let error = Meta::decode(&[&[4, 0], &bytes[2..], &[0]].concat()).expect_err("refused");
        assert!(matches!(error, OpenError::NewerFormat { found: 4, supported: 3, .. }), "{error}");
    }
}
