//! Hydration, and the fold of frames into a state and a history.
//!
//! History goes forwards: it keeps the records themselves, and the state before some of them. Any revision is such a
//! state with the records up to that revision replayed.

use super::block::append;
use super::change::check_kind;
use super::codec::DecodeError;
use super::{pack, replay, unpack};
use crate::port::journal::Record;
use crate::port::store::{Fold, LoadVisitor, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use crate::state::UserState;

/// The least number of bytes of a full block, uncompressed.
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
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.bytes = state.as_ref().map_or(0, Vec::len);
        self.state = state.map(unpack).transpose()?;
        Ok(())
    }

    fn needs_history(&self) -> bool {
        false
    }

    fn base(&mut self, _: Vec<u8>) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn block(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.bytes += record.body.len();
        self.state = Some(replay(self.state.take(), record)?);
        Ok(())
    }
}

/// The fold of a checkpoint: replays frames without any rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replay;

impl Fold for Replay {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        let mut state = state.map(|packed| unpack(packed.to_vec())).transpose()?;
        for frame in frames {
            state = Some(replay(state, frame)?);
        }
        let state = state.ok_or(DecodeError::Truncated { doing: "a user without frames" })?;
        Ok(pack(&state))
    }

    /// Appends the frames to the open block. A block that is full then is closed by writing the base of the next one, which
    /// is `state`. A block grows at least to the size of the state, so that bases take at most about as much as blocks.
    fn keep_history(
        &self,
        state: &[u8],
        open_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(SideChanges::default()) };
        let key = |kind, number| SideKey { kind, number };
        let new_block = || SideRecord { key: key(SideKind::HISTORY, first.sequence), body: Vec::new() };
        let SideRecord { key: block_key, mut body } = open_block.unwrap_or_else(new_block);
        body.reserve(frames.iter().map(|frame| frame.body.len() + 8).sum());
        for frame in frames {
            check_kind(frame.kind)?;
            body = append(body, frame.into());
        }
        let is_full = body.len() >= BLOCK_BYTES.max(state.len());
        let mut put = vec![SideRecord { key: block_key, body }];
        if is_full {
            put.push(SideRecord { key: key(SideKind::BASE, last.sequence + 1), body: state.to_vec() });
        }
        Ok(SideChanges { put, remove: Vec::new() })
    }
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}
