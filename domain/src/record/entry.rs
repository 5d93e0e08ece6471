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
//!         day (signed), salt count before, number of leaves
//!         for each: leaf (1 byte, + 128 for an edit), and its value before, 0 or the edit
//!         for each member of these leaves, in the order of the members' names: revision - revision of its last change before
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
use crate::integrity::LazyTree;
use crate::past::PastProfile;
use crate::table::{Leaf, LeafSet, Member};

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
    /// The calendar day of that revision.
    pub day: Day,
    /// The salt count before.
    pub salt_count_before: u32,
    /// The leaves that it changed, with the values that they had before.
    pub before: Vec<(Leaf, LeafValue)>,
    /// The members of these leaves, with the revisions of their last changes before; 0 for none. The salts of the profile
    /// hash depend on them.
    pub changed_before: Vec<(Member, u64)>,
}

impl HistoryEntry {
    /// Turns the profile that the revision made into the one at the base.
    ///
    /// # Errors
    /// `past` is not the one that the revision made.
    pub fn undo(&self, past: &mut PastProfile) -> Result<(), DecodeError> {
        set_leaves(&mut past.profile, &self.before)?;
        for (member, changed_at) in &self.changed_before {
            past.salts.changed_at[*member as usize] = *changed_at;
        }
        past.salts.count = self.salt_count_before;
        past.tree = LazyTree::default();
        past.revision = self.base;
        Ok(())
    }

    /// Undoes the change of the member `consent` alone, as [`Self::undo`] does. Its leaves are never stored as edits of
    /// others.
    pub(super) fn undo_consent(&self, past: &mut PastProfile) -> Result<(), DecodeError> {
        let is_consent = |(leaf, _): &&(Leaf, LeafValue)| leaf.field().member == Member::Consent;
        let leaves: Vec<_> = self.before.iter().filter(is_consent).cloned().collect();
        past.revision = self.base;
        set_leaves(&mut past.profile, &leaves)
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
    out.signed(i64::from(entry.day.0));
    out.varint(u64::from(entry.salt_count_before));
    out.varint(entry.before.len() as u64);
    for (leaf, value) in &entry.before {
        out.leaf(*leaf, value);
    }
    for (_, changed_at) in &entry.changed_before {
        out.varint(entry.revision - changed_at);
    }
}

/// Reads a block, oldest entry first.
///
/// # Errors
/// The block is not in this format.
pub fn entries(block: &[u8]) -> Result<Vec<HistoryEntry>, DecodeError> {
    let mut input = Reader::new(block);
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
    let assembly_latency_micros = input.u32()?;
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let salt_count_before = input.u32()?;
    let before: Vec<(Leaf, LeafValue)> = (0..input.count()?).map(|_| input.leaf_value()).collect::<Result<_, _>>()?;
    let leaves: LeafSet = before.iter().map(|(leaf, _)| *leaf).collect();
    let changed_before = leaves.members().map(|member| {
        let changed_at = revision.checked_sub(input.varint()?);
        Ok((member, changed_at.ok_or(DecodeError::Unknown { what: "revision of a change" })?))
    });
    let changed_before = changed_before.collect::<Result<_, DecodeError>>()?;
    Ok(HistoryEntry {
        base,
        revision,
        cause,
        generated_at,
        assembly_latency_micros,
        day,
        salt_count_before,
        before,
        changed_before,
    })
}
