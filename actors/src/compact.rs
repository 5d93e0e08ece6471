//! Idle states as compact bytes.

use bytes::Bytes;
use domain::record::{self, DecodeError};
use domain::state::UserState;

/// Packs the states of one shard.
pub(crate) struct Compactor;

/// A compact state, as [`record::pack`] makes it.
pub(crate) type Compact = Box<[u8]>;

impl Compactor {
    /// Returns the compact form of a state; `None` if it could not be made.
    pub(crate) fn pack(&self, state: &UserState) -> Option<Compact> {
        Some(record::pack(state).into_boxed_slice())
    }

    /// Returns the state of a compact form.
    ///
    /// # Errors
    /// The bytes are not what [`Compactor::pack`] made.
    pub(crate) fn unpack(&self, compact: Compact) -> Result<UserState, DecodeError> {
        record::unpack_own(Bytes::from(compact))
    }
}
