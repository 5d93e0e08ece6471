//! Idle states as compact bytes: packed, then compressed with the dictionary of the made-up population.

use std::cell::RefCell;

use domain::record::{self, DecodeError};
use domain::state::UserState;
use zstd::bulk::{Compressor, Decompressor};

/// Fast, and with a dictionary nearly as small as the higher levels.
const LEVEL: i32 = 1;

/// One shard's contexts. Making one costs more than many states.
pub(crate) struct Compactor {
    compressor: RefCell<Compressor<'static>>,
    decompressor: RefCell<Decompressor<'static>>,
}

/// A state that takes little room: the length of the packed form, 4 bytes, and its zstd frame.
pub(crate) type Compact = Box<[u8]>;

/// Compact bytes that are not what [`Compactor::pack`] made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactError {
    /// They do not decompress.
    #[error("the bytes do not decompress")]
    Decompress(#[source] std::io::Error),
    /// What they hold is no state.
    #[error("the bytes hold no state")]
    Decode(#[from] DecodeError),
}

impl Compactor {
    /// Contexts with this dictionary, which may be empty.
    ///
    /// # Panics
    /// If the memory for them cannot be had.
    pub(crate) fn new(dictionary: &[u8]) -> Self {
        let mut compressor = Compressor::with_dictionary(LEVEL, dictionary).expect("a compression context can be made");
        // Nobody else reads the bytes: the dictionary's name in each would be four bytes of nothing, a million times.
        compressor.include_dictid(false).expect("the parameter is known");
        let decompressor = Decompressor::with_dictionary(dictionary);
        Self {
            compressor: RefCell::new(compressor),
            decompressor: RefCell::new(decompressor.expect("a decompression context can be made")),
        }
    }

    /// The compact form; `None` when it could not be made, and the state should stay as it is.
    pub(crate) fn pack(&self, state: &UserState) -> Option<Compact> {
        let packed = record::pack(state);
        let length = u32::try_from(packed.len()).ok()?.to_le_bytes();
        let frame = self.compressor.borrow_mut().compress(&packed).ok()?;
        Some([&length[..], &frame].concat().into_boxed_slice())
    }

    /// The state again.
    ///
    /// # Errors
    /// The bytes are not what [`Compactor::pack`] made with this dictionary.
    pub(crate) fn unpack(&self, compact: &[u8]) -> Result<UserState, CompactError> {
        let (length, frame) = compact.split_first_chunk().ok_or(DecodeError::Truncated { doing: "a compact state" })?;
        let packed = self.decompressor.borrow_mut().decompress(frame, u32::from_le_bytes(*length) as usize);
        Ok(record::unpack(packed.map_err(CompactError::Decompress)?)?)
    }
}
