//! Hydration, and the fold of frames into a state and a history.
//!
//! History goes backwards: an entry holds the values that a revision's leaves had before it, so that the profile of any
//! revision is the head with the entries after that revision undone.

use bytes::Bytes;

use super::change::decode;
use super::codec::{DecodeError, Writer};
use super::entry::{entries, write_entry};
use super::{pack, replay, unpack};
use crate::port::store::{Checkpointed, Fold, Folded, HistoryBlock, LoadVisitor, StoreError};
use crate::profile::Profile;
use crate::state::UserState;

/// How many bytes an open block grows to before it is closed, uncompressed.
const BLOCK_BYTES: usize = 16 * 1024;

/// Folds a user's stored bodies into the user's state as they are loaded.
#[derive(Debug, Default)]
pub struct Hydration {
    state: Option<UserState>,
    bytes: usize,
}

impl Hydration {
    /// Takes the state out; `None` for a user without any frame.
    pub fn take_state(&mut self) -> Option<UserState> {
        self.state.take()
    }

    /// Returns the bytes of all loaded bodies, which is at least about the memory that the state takes.
    pub fn loaded_bytes(&self) -> usize {
        self.bytes
    }
}

impl LoadVisitor for Hydration {
    fn checkpoint(&mut self, checkpointed: Checkpointed) -> Result<(), StoreError> {
        self.bytes = checkpointed.state.as_ref().map_or(0, Vec::len);
        self.state = checkpointed.state.map(unpack).transpose()?;
        Ok(())
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn frame(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.bytes += body.len();
        self.state = Some(replay(self.state.take(), body)?);
        Ok(())
    }
}

/// The fold of a checkpoint: replays frames without any rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replay;

impl Fold for Replay {
    fn fold(&self, state: Option<&[u8]>, tail: Option<&[u8]>, frames: &[Vec<u8>]) -> Result<Folded, StoreError> {
        Ok(fold(state, tail, frames)?)
    }
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}

fn fold(state: Option<&[u8]>, tail: Option<&[u8]>, frames: &[Vec<u8>]) -> Result<Folded, DecodeError> {
    let mut state = state.map(|packed| unpack(Bytes::copy_from_slice(packed))).transpose()?;
    let mut closed = Vec::new();
    let mut open = Writer(tail.map_or_else(Vec::new, <[u8]>::to_vec));
    for frame in frames {
        let change = decode(frame)?;
        let before = state.as_ref().map_or_else(Profile::default, |state| state.profile.clone());
        let next = change.apply(state)?;
        if let Some(entry) = change.entry(&before, &next.profile) {
            write_entry(&mut open, &entry);
        }
        if open.0.len() >= BLOCK_BYTES {
            let body = std::mem::take(&mut open.0);
            let first_revision = entries(&body)?.first().map_or(0, |entry| entry.revision);
            closed.push(HistoryBlock { first_revision, body });
        }
        state = Some(next);
    }
    let state = state.ok_or(DecodeError::Truncated { doing: "a user without frames" })?;
    Ok(Folded { state: pack(&state), closed, tail: open.0 })
}
