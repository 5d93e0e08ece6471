//! Idle states as compact bytes: packed, then compressed with a zstd dictionary trained on the generated population.

use std::cell::RefCell;

use domain::record::{self, DecodeError};
use domain::state::UserState;
use zstd::bulk::{Compressor, Decompressor};

/// The zstd level. With a dictionary, the higher levels are slower and save little.
const LEVEL: i32 = 1;

/// The zstd contexts of one shard. Making a context costs more than packing many states.
pub(crate) struct Compactor {
    compressor: RefCell<Compressor<'static>>,
    decompressor: RefCell<Decompressor<'static>>,
}

/// A compact state: the length of the packed form in 4 bytes, then its zstd frame.
pub(crate) type Compact = Box<[u8]>;

/// Why bytes are not a compact state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactError {
    /// The bytes do not decompress.
    #[error("the bytes do not decompress")]
    Decompress(#[source] std::io::Error),
    /// The decompressed bytes are not a state.
    #[error("the bytes hold no state")]
    Decode(#[from] DecodeError),
}

impl Compactor {
    /// Returns contexts with `dictionary`, which may be empty.
    ///
    /// # Panics
    /// If there is no memory for them.
    pub(crate) fn new(dictionary: &[u8]) -> Self {
        let mut compressor = Compressor::with_dictionary(LEVEL, dictionary).expect("a compression context can be made");
        // There is one dictionary, so its id would only cost four bytes for each idle actor.
        compressor.include_dictid(false).expect("the parameter is known");
        let decompressor = Decompressor::with_dictionary(dictionary);
        Self {
            compressor: RefCell::new(compressor),
            decompressor: RefCell::new(decompressor.expect("a decompression context can be made")),
        }
    }

    /// Returns the compact form of a state; `None` if it could not be made.
    pub(crate) fn pack(&self, state: &UserState) -> Option<Compact> {
        let packed = record::pack(state);
        let length = u32::try_from(packed.len()).ok()?.to_le_bytes();
        let frame = self.compressor.borrow_mut().compress(&packed).ok()?;
        Some([&length[..], &frame].concat().into_boxed_slice())
    }

    /// Returns the state of a compact form.
    ///
    /// # Errors
    /// The bytes are not what [`Compactor::pack`] made with this dictionary.
    pub(crate) fn unpack(&self, compact: &[u8]) -> Result<UserState, CompactError> {
        let (length, frame) = compact.split_first_chunk().ok_or(DecodeError::Truncated { doing: "a compact state" })?;
        let packed = self.decompressor.borrow_mut().decompress(frame, u32::from_le_bytes(*length) as usize);
        Ok(record::unpack(packed.map_err(CompactError::Decompress)?)?)
    }
}
