//! The note of why a user is in quarantine, which is stored unsealed: it has nothing of the user's data.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  format, 1
//!      1       1  reason: a `QuarantineReason`
//!      2       2  reserved, 0
//!      4       4  slot of the user's data key
//!      8       4  generation of that key
//!     12       8  time in microseconds since the Unix epoch, 0 if not known
//!     20       n  what the store has reported, as text
//! ```

use crate::bytes::{put, u32_at, u64_at};

const NOTE_FORMAT: u8 = 1;
const REASON_AT: usize = 1;
const SLOT_AT: usize = 4;
const GENERATION_AT: usize = 8;
const SINCE_AT: usize = 12;
const MESSAGE_AT: usize = 20;
/// Maximum number of bytes of the text, so that a note is one value of sled.
const MAX_MESSAGE: usize = 1_000;

/// Why the frames of a user could not be folded. The number is stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineReason {
    /// The user's data key cannot be read.
    Key = 1,
    /// The state of the last checkpoint cannot be read.
    State = 2,
    /// A frame is missing, or its bytes are not those that were written.
    Frame = 3,
    /// The seal of a frame does not open.
    Seal = 4,
    /// All frames open, and the rules refuse one.
    Fold = 5,
}

impl QuarantineReason {
    const ALL: [Self; 5] = [Self::Key, Self::State, Self::Frame, Self::Seal, Self::Fold];

    /// Returns the name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::State => "state",
            Self::Frame => "frame",
            Self::Seal => "seal",
            Self::Fold => "fold",
        }
    }
}

/// Why and since when a user is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuarantineNote {
    pub(crate) reason: QuarantineReason,
    /// In microseconds since the Unix epoch; 0 if not known.
    pub(crate) since: i64,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// What the store has reported; never a user's data.
    pub(crate) message: String,
}

impl QuarantineNote {
    /// Encodes the note. A long message is cut.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let end = (0..=MAX_MESSAGE.min(self.message.len())).rfind(|end| self.message.is_char_boundary(*end));
        let message = &self.message.as_bytes()[..end.unwrap_or(0)];
        let mut bytes = vec![0; MESSAGE_AT];
        bytes[0] = NOTE_FORMAT;
        bytes[REASON_AT] = self.reason as u8;
        put(&mut bytes, SLOT_AT, &self.slot.to_le_bytes());
        put(&mut bytes, GENERATION_AT, &self.generation.to_le_bytes());
        put(&mut bytes, SINCE_AT, &self.since.to_le_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    /// Decodes what [`Self::encode`] has made; `None` if the bytes are not a note of this format.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, message) = bytes.split_at_checked(MESSAGE_AT)?;
        if head[0] != NOTE_FORMAT || head[REASON_AT + 1..SLOT_AT] != [0, 0] {
            return None;
        }
        Some(Self {
            reason: QuarantineReason::ALL.into_iter().find(|reason| *reason as u8 == head[REASON_AT])?,
            since: u64_at(head, SINCE_AT).cast_signed(),
            slot: u32_at(head, SLOT_AT),
            generation: u32_at(head, GENERATION_AT),
            message: String::from_utf8(message.to_vec()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_the_bytes_that_the_table_shows_and_reads_back() {
        let (reason, message) = (QuarantineReason::Seal, "slot 7".to_owned());
        let note = QuarantineNote { reason, since: 0x0102, slot: 7, generation: 2, message };
        let bytes = note.encode();
        let head = [&[1, 4, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0][..], &[2, 1, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(bytes, [&head[..], b"slot 7"].concat());
        assert_eq!(QuarantineNote::decode(&bytes), Some(note.clone()));
        for (at, unknown) in [(0, 2), (1, 0), (1, 6), (2, 1)] {
            let mut bytes = bytes.clone();
            bytes[at] = unknown;
            assert_eq!(QuarantineNote::decode(&bytes), None, "{at}");
        }
        let long = QuarantineNote { message: "ä".repeat(MAX_MESSAGE), ..note };
        assert_eq!(QuarantineNote::decode(&long.encode()).map(|note| note.message.len()), Some(MAX_MESSAGE));
    }
}
