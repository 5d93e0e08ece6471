//! The erasure of a citizen: at once, or after a time in which it can be undone.

mod erase;
mod state;
mod undo;

pub(super) use erase::erase;
pub(crate) use state::ErasureState;
pub(super) use undo::undo;
