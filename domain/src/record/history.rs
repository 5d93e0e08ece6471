//! Hydration, and the fold of frames into a state and a history.
//!
//! History goes backwards: an entry holds the values that a revision's leaves had before it, so that the profile of any
//! revision is the head with the entries after that revision undone.

use bytes::Bytes;

use super::change::decode;
use super::codec::{DecodeError, Writer};
use super::entry::write_entry;
use super::{HistoryEntry, pack, replay, unpack};
use crate::port::journal::Record;
use crate::port::store::{Fold, Folded, LoadVisitor, SideKey, SideKind, SideRecord, StoreError};
use crate::state::UserState;

/// How many bytes a block grows to before the next one begins, uncompressed.
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
    fn fold(
        &self,
        state: Option<&[u8]>,
        newest_block: Option<&SideRecord>,
        frames: &[Record],
    ) -> Result<Folded, StoreError> {
        Ok(fold(state, newest_block, frames)?)
    }
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}

fn fold(state: Option<&[u8]>, newest_block: Option<&SideRecord>, frames: &[Record]) -> Result<Folded, DecodeError> {
    let mut state = state.map(|packed| unpack(Bytes::copy_from_slice(packed))).transpose()?;
    let mut blocks = GrowingBlocks::new(newest_block);
    for frame in frames {
        let change = decode(frame)?;
        let before = state.clone();
        let next = change.apply(state)?;
        if let Some(entry) = change.entry(before.as_ref(), &next) {
            blocks.add(&entry);
        }
        state = Some(next);
    }
    let state = state.ok_or(DecodeError::Truncated { doing: "a user without frames" })?;
    Ok(Folded { state: pack(&state), put: blocks.changed, remove: Vec::new() })
}

/// The history blocks that a fold changes.
struct GrowingBlocks<'a> {
    /// The newest block, until an entry is added.
    newest: Option<&'a SideRecord>,
    changed: Vec<SideRecord>,
}

impl<'a> GrowingBlocks<'a> {
    fn new(newest: Option<&'a SideRecord>) -> Self {
        Self { newest, changed: Vec::new() }
    }

    /// Adds an entry to the newest block, or to a new one if that is full.
    fn add(&mut self, entry: &HistoryEntry) {
        let has_room = |block: &&SideRecord| block.body.len() < BLOCK_BYTES;
        if let Some(block) = self.newest.take().filter(has_room) {
            self.changed.push(block.clone());
        }
        if self.changed.last().as_ref().is_none_or(|block| !has_room(block)) {
            let key = SideKey { kind: SideKind::HISTORY, number: entry.revision };
            self.changed.push(SideRecord { key, body: Vec::new() });
        }
        if let Some(SideRecord { body, .. }) = self.changed.last_mut() {
            let mut out = Writer(std::mem::take(body));
            write_entry(&mut out, entry);
            *body = out.0;
        }
    }
}
