//! Hydration, and the fold of frames into a state and a history.
//!
//! History goes forwards: it keeps the records themselves, and the state before some of them. Any revision is such a
//! state with the records up to that revision replayed.

use super::after_loss::after_loss;
use super::block::GrowingBlock;
use super::change::check_kind;
use super::codec::DecodeError;
use super::snapshot_record::fold_marks;
use super::{pack, replay, unpack};
use crate::port::journal::Record;
use crate::port::store::{Fold, LoadVisitor, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use crate::state::UserState;

/// The least number of bytes of a full block, uncompressed.
pub(super) const BLOCK_BYTES: usize = 16 * 1024;
/// How many bytes of blocks there are at least for each byte of bases.
pub(super) const BLOCKS_PER_BASE: usize = 4;

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

    /// Appends the frames to the newest block, or begins one. When the blocks since the last base are long enough, it is
    /// followed by a base, which is `state`, and then the next block begins.
    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(SideChanges::default()) };
        let newest =
            newest_block.map(|block| Ok::<_, DecodeError>((block.key.number, GrowingBlock::open(block.body)?)));
        let (number, mut block) = match newest.transpose()? {
            Some(newest) if newest.1.len() < BLOCK_BYTES => newest,
            Some((_, full)) => (first.sequence, GrowingBlock::new(first.generation, full.since_base())),
            None => (first.sequence, GrowingBlock::new(first.generation, 0)),
        };
        for frame in frames {
            check_kind(frame.kind)?;
            block.append(frame.into());
        }
        let base_bytes = BLOCK_BYTES.max(BLOCKS_PER_BASE * state.len()) as u64;
        let needs_base = block.since_base() >= base_bytes;
        let side_record = |kind, number, body| SideRecord { key: SideKey { kind, number }, body };
        let mut put = vec![side_record(SideKind::HISTORY, number, block.into_body())];
        if needs_base {
            put.push(side_record(SideKind::BASE, last.sequence + 1, state.to_vec()));
        }
        let mut changes = SideChanges { put, remove: Vec::new() };
        fold_marks(frames, &mut changes)?;
        Ok(changes)
    }

    fn after_loss(&self, state: &[u8], sequence: u64, now: i64) -> Result<(Vec<u8>, SideChanges), StoreError> {
        Ok(after_loss(state, sequence, now)?)
    }
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged { what: error.to_string() }
    }
}
