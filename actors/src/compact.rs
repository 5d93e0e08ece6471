//! States of users that have no actor, and of idle ones with subscribers, as compact bytes.

use domain::record::{self, DecodeError};
use domain::state::UserState;

/// A compact state, as [`record::pack`] makes it.
pub(crate) type Compact = Box<[u8]>;

/// Returns the compact form of a state.
pub(crate) fn pack(state: &UserState) -> Compact {
    record::pack(state).into_boxed_slice()
}

/// Returns the state of a compact form, whose parts are decoded when they are first read.
///
/// # Errors
/// The bytes are not what [`pack`] made.
pub(crate) fn unpack(compact: Compact) -> Result<UserState, DecodeError> {
    record::unpack_own(compact)
}
