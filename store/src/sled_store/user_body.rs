//! The body of a user's record: the state and the open history block.
//!
//! They are one record, because a fold adds its frames to both, and a crash must not leave only one of them changed.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       4  length n of the state
//!      4       n  state
//!  4 + n          open history block, to the end
//! ```

const LENGTH_BYTES: usize = 4;

/// A user's state and open history block (`tail`), which is empty if none is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UserBody {
    pub(crate) state: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl UserBody {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&(self.state.len() as u32).to_le_bytes()[..], &self.state, &self.tail].concat()
    }

    pub(super) fn decode(mut bytes: Vec<u8>) -> Option<Self> {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let end = LENGTH_BYTES.checked_add(length).filter(|&end| end <= bytes.len())?;
        let tail = bytes.split_off(end);
        bytes.drain(..LENGTH_BYTES);
        Some(Self { state: bytes, tail })
    }
}
