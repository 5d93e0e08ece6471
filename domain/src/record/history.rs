//! Hydration, and the fold of frames into a state and a history.
//!
//! History goes backwards: an entry holds the values that a revision's leaves had before it, so that the profile of any
//! revision is the head with the entries after that revision undone.

use bytes::Bytes;

use super::change::decode;
use super::codec::{DecodeError, Reader, Writer};
use super::leaf_value::{LeafValue, set_leaves};
use super::{FORMAT, pack, replay, unpack};
use crate::day::Day;
use crate::port::store::{Checkpointed, Fold, Folded, HistoryBlock, LoadVisitor, StoreError};
use crate::profile::Profile;
use crate::state::UserState;
use crate::table::{Leaf, Member};

/// How many bytes an open block grows to before it is closed, uncompressed.
const BLOCK_BYTES: usize = 16 * 1024;

/// What one revision changed.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The revision.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// How long its assembly took, in microseconds.
    pub assembly_latency_micros: u32,
    /// Its root hash.
    pub profile_hash: [u8; 32],
    /// Its calendar day.
    pub day: Day,
    /// Its salt count.
    pub salt_count: u32,
    /// The leaves that it changed, with the values that they had before.
    pub before: Vec<(Leaf, LeafValue)>,
}

impl HistoryEntry {
    /// Makes the profile before the revision of the profile that the revision made.
    ///
    /// # Errors
    /// `profile` is not the one that the revision made.
    pub fn undo(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        set_leaves(profile, &self.before)
    }

    /// As [`Self::undo`], of the member `consent` alone: its leaves are never edits of others.
    pub(super) fn undo_consent(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        let is_consent = |(leaf, _): &&(Leaf, LeafValue)| leaf.field().member == Member::Consent;
        let leaves: Vec<_> = self.before.iter().filter(is_consent).cloned().collect();
        set_leaves(profile, &leaves)
    }
}

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

    /// The bytes of all bodies that were loaded: at least about what the state takes in memory.
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

/// The checkpoint's fold.
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

fn write_entry(out: &mut Writer, entry: &HistoryEntry) {
    if out.0.is_empty() {
        out.u8(FORMAT);
    }
    out.varint(entry.revision);
    out.signed(entry.generated_at);
    out.varint(u64::from(entry.assembly_latency_micros));
    out.fixed(&entry.profile_hash);
    out.signed(i64::from(entry.day.0));
    out.varint(u64::from(entry.salt_count));
    out.varint(entry.before.len() as u64);
    for (leaf, value) in &entry.before {
        out.leaf(*leaf, value);
    }
}

/// Reads a block, oldest entry first.
///
/// # Errors
/// The body is not one of ours.
pub fn entries(block: &[u8]) -> Result<Vec<HistoryEntry>, DecodeError> {
    let mut input = Reader::copying(block);
    if input.is_empty() {
        return Ok(Vec::new());
    }
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "history format" });
    }
    let mut entries = Vec::new();
    while !input.is_empty() {
        entries.push(read_entry(&mut input)?);
    }
    Ok(entries)
}

fn read_entry(input: &mut Reader) -> Result<HistoryEntry, DecodeError> {
    let (revision, generated_at) = (input.varint()?, input.signed()?);
    let (assembly_latency_micros, profile_hash) = (input.u32()?, input.array()?);
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let salt_count = input.u32()?;
    let before = (0..input.count()?).map(|_| input.leaf_value()).collect::<Result<_, _>>()?;
    Ok(HistoryEntry { revision, generated_at, assembly_latency_micros, profile_hash, day, salt_count, before })
}
