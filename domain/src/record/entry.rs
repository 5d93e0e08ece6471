//! One entry of the history: what a revision changed, and how to undo it.
//!
//! A block is its format (1 byte, 2) and entries, oldest first. Numbers are as in a change:
//!
//! ```text
//! length  field
//!         revision, revision - base
//!      1  cause: 0 no event, 1 an event of a feed, 2 a person's request
//!         -- for 2: the person (length, text)
//!         -- for 1 and 2: source (1 byte), event id (length, text)
//!         generated_at (signed), assembly latency
//!     32  profile hash
//!         day (signed), salt count, number of leaves
//!         for each: leaf (1 byte, + 128 for an edit), and its value before, 0 or the edit
//! ```
//!
//! Of a list whose items have an id, an entry holds the changed items, as an edit of the value that the revision made
//! (ADR 0008). Neighbouring entries can be merged: of each leaf, the value before the older one stays, as an edit of the
//! value that the newer one made.

use super::FORMAT;
use super::cause::Cause;
use super::codec::{DecodeError, Reader, Writer};
use super::leaf_value::{LeafValue, set_leaves};
use crate::day::Day;
use crate::profile::Profile;
use crate::table::{Leaf, Member};

/// The changes of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// The revision that undoing the entry leads to; 0 before the first one.
    pub base: u64,
    /// The revision that the entry leads to. Greater than `base + 1` if the entry stands for several revisions.
    pub revision: u64,
    /// Why the revision was made.
    pub cause: Cause,
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
    out.varint(entry.revision - entry.base);
    out.cause(&entry.cause);
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
    let (revision, steps) = (input.varint()?, input.varint()?);
    let base = revision.checked_sub(steps).filter(|base| *base < revision);
    let base = base.ok_or(DecodeError::Unknown { what: "base of a revision" })?;
    let cause = input.cause()?;
    let generated_at = input.signed()?;
    let (assembly_latency_micros, profile_hash) = (input.u32()?, input.array()?);
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let salt_count = input.u32()?;
    let before = (0..input.count()?).map(|_| input.leaf_value()).collect::<Result<_, _>>()?;
    Ok(HistoryEntry {
        base,
        revision,
        cause,
        generated_at,
        assembly_latency_micros,
        profile_hash,
        day,
        salt_count,
        before,
    })
}
