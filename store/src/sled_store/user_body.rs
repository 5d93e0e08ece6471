//! What a checkpoint holds of a user, as one body: the state, and the open block of history.
//!
//! They are one record, because a fold counts its frames into both: a crash must not tear them apart.

/// A user's state and open history block; the block is empty when none is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UserBody {
    pub(crate) state: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl UserBody {
    /// The state's length, the state, the tail.
    pub(super) fn encode(&self) -> Vec<u8> {
        [&(self.state.len() as u32).to_le_bytes()[..], &self.state, &self.tail].concat()
    }

    pub(super) fn decode(mut bytes: Vec<u8>) -> Option<Self> {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let end = 4_usize.checked_add(length).filter(|&end| end <= bytes.len())?;
        let tail = bytes.split_off(end);
        bytes.drain(..4);
        Some(Self { state: bytes, tail })
    }
}
