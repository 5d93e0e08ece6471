//! One entry of the history: what a revision changed, and how to undo it.

use super::FORMAT;
use super::codec::{DecodeError, Reader, Writer};
use super::leaf_value::{LeafValue, set_leaves};
use crate::day::Day;
use crate::profile::Profile;
use crate::table::{Leaf, Member};

/// The changes of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The revision that the entry leads to.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// How long its assembly took, in microseconds.
    pub assembly_latency_micros: u32,
    /// The root hash of that revision.
    pub profile_hash: [u8; 32],
    /// The calendar day of that revision.
    pub day: Day,
    /// The salt count of that revision.
    pub salt_count: u32,
    /// The leaves that it changed, with the values that they had before.
    pub before: Vec<(Leaf, LeafValue)>,
}

impl HistoryEntry {
    /// Turns the profile that the revision made into the one before it.
    ///
    /// # Errors
    /// `profile` is not the one that the revision made.
    pub fn undo(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        set_leaves(profile, &self.before)
    }

    /// Undoes the change of the member `consent` alone, as [`Self::undo`] does. Its leaves are never stored as edits of
    /// others.
    pub(super) fn undo_consent(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        let is_consent = |(leaf, _): &&(Leaf, LeafValue)| leaf.field().member == Member::Consent;
        let leaves: Vec<_> = self.before.iter().filter(is_consent).cloned().collect();
        set_leaves(profile, &leaves)
    }
}

pub(super) fn write_entry(out: &mut Writer, entry: &HistoryEntry) {
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
/// The block is not in this format.
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
