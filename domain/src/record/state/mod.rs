//! A whole state, compact: what users in memory without an actor keep, and what checkpoints store.
//!
//! A packed state is a head and a *chunk* for each source document and each section. A chunk is decoded when it is first
//! read and encoded again only after it changed, so an event pays for the documents and sections that it touches, and
//! the others are copied as they are.
//!
//! ```text
//! length  field
//!      1  format, 2
//!         generation, sequence, first revision
//!         -- from generation 2 on
//!         time of the erasure before (signed)
//!         --
//!         day (signed)
//!      4  fingerprint of the rules
//!         version of the policy, salt count
//!     16  integrity key
//!     16  profile id
//!         revision, generated_at (signed), assembly latency
//!         members that have changed, a bit for each number
//!         for each of them, by name: revisions since its last change
//!         leaves that are present, a bit for each number
//!         sources that have a document, a bit for each number
//!         for each of them, by number: length of its chunk
//!         for each member with a leaf that is present, by name: length of its chunk
//!         the chunks of the documents and of the members, in the same order
//! ```
//!
//! The chunks are described in `document` and `section`. Within one release, every field and chunk has one form, so that
//! equal states have equal bytes.

mod chunks;
mod document;
mod lists;
mod packed_state;
mod registers;
mod section;

use std::sync::Arc;

use super::FORMAT;
use super::codec::{DecodeError, Reader, Writer};
use crate::day::Day;
use crate::documents::SourceDocuments;
use crate::id::ProfileId;
use crate::integrity::{LazyTree, Salts};
use crate::profile::{Envelope, Profile};
use crate::source::Source;
use crate::state::{NO_ERASURE, UserState};
use crate::table::{Leaf, LeafSet, Member};
use chunks::Chunks;
use packed_state::PackedState;

/// Packs a state. Unpacking gives an equal one.
pub fn pack(state: &UserState) -> Vec<u8> {
    let mut chunks = Chunks::new();
    let documents = &state.documents;
    let mut sources = 0;
    for source in Source::ALL {
        if let Some(packed) = documents.packed(source) {
            chunks.copy(packed);
        } else if let Some(document) = documents.own(source) {
            chunks.encode(|out| document::encode(out, source, document));
        } else {
            continue;
        }
        sources |= 1 << source as u64;
    }
    for member in state.profile.present().members() {
        // A section's chunk refers to registers.
        let is_current = documents.written().and(member.leaves()).is_empty();
        match state.profile.packed(member).filter(|_| is_current) {
            Some(packed) => chunks.copy(packed),
            None => {
                if let Some(section) = state.profile.section(member) {
                    chunks.encode(|out| section::encode(out, section, documents));
                }
            }
        }
    }
    chunks.finish(|out, lengths| {
        let mut out = Writer(out);
        write_head(&mut out, state);
        out.varint(sources);
        lengths.iter().for_each(|length| out.varint(*length as u64));
        out.0
    })
}

fn write_head(out: &mut Writer, state: &UserState) {
    out.u8(FORMAT);
    out.varint(u64::from(state.generation));
    out.varint(state.sequence);
    out.varint(state.salts.first_revision);
    if state.generation > 1 {
        out.signed(state.begins_after);
    }
    out.signed(i64::from(state.day.0));
    out.fixed(&state.rules.to_le_bytes());
    out.varint(u64::from(state.policy));
    out.varint(u64::from(state.salts.count));
    out.fixed(&state.salts.key);
    out.fixed(&state.envelope.profile_id.to_bytes());
    out.varint(state.envelope.revision);
    out.signed(state.envelope.generated_at);
    out.varint(u64::from(state.envelope.assembly_latency_micros));
    let changed = Member::ALL.iter().zip(state.salts.changed_at).filter(|(_, revision)| *revision != 0);
    out.varint(changed.clone().fold(0, |bits, (member, _)| bits | 1 << member.number()));
    for (_, revision) in changed {
        out.varint(state.envelope.revision - revision);
    }
    out.varint(state.profile.present().numbers());
}

/// Unpacks a state that came from a store, and decodes all of it.
///
/// # Errors
/// The bytes are not a packed state of this format.
pub fn unpack(packed: impl Into<Box<[u8]>>) -> Result<UserState, DecodeError> {
    let (state, packed) = read(packed.into())?;
    packed.decode_all()?;
    Ok(state)
}

/// Unpacks a state that this process has packed. Its documents and sections are decoded when they are first read.
///
/// # Errors
/// The head is not that of a packed state.
///
/// # Panics
/// Later, when a document or section is read that [`pack`] did not write.
pub fn unpack_own(packed: impl Into<Box<[u8]>>) -> Result<UserState, DecodeError> {
    read(packed.into()).map(|(state, _)| state)
}

/// Returns the generation and the sequence of a packed state. Nothing else of it is read.
///
/// # Errors
/// The bytes do not begin as a packed state of this format does.
pub fn packed_sequence(packed: &[u8]) -> Result<(u32, u64), DecodeError> {
    let mut input = Reader::new(packed);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "state format" });
    }
    Ok((input.u32()?, input.varint()?))
}

fn read(packed: Box<[u8]>) -> Result<(UserState, Arc<PackedState>), DecodeError> {
    let mut input = Reader::new(&packed);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "state format" });
    }
    let generation = input.u32()?;
    let (sequence, first_revision) = (input.varint()?, input.varint()?);
    let begins_after = if generation > 1 { input.signed()? } else { NO_ERASURE };
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let rules = u32::from_le_bytes(input.array()?);
    let (policy, salt_count) = (input.u32()?, input.u32()?);
    let (key, profile_id) = (input.array()?, ProfileId::from_bytes(input.array()?));
    let envelope = Envelope {
        profile_id,
        revision: input.varint()?,
        generated_at: input.signed()?,
        assembly_latency_micros: input.u32()?,
    };
    let changed_at = read_changes(&mut input, envelope.revision)?;
    let present = read_leaves(&mut input)?;
    let mut stored = PackedState::read(&mut input, present)?;
    stored.set_bytes(packed);
    let stored = Arc::new(stored);
    let state = UserState {
        generation,
        begins_after,
        sequence,
        day,
        rules,
        policy,
        salts: Salts { key, count: salt_count, first_revision, changed_at },
        envelope,
        profile: Profile::from_stored(stored.clone(), present),
        documents: SourceDocuments::from_stored(stored.clone()),
        tree: LazyTree::default(),
    };
    Ok((state, stored))
}

fn read_changes(input: &mut Reader<'_>, revision: u64) -> Result<[u64; Member::COUNT], DecodeError> {
    let bits = input.varint()?;
    let mut changed_at = [0; Member::COUNT];
    for member in Member::ALL.iter().filter(|member| bits & 1 << member.number() != 0) {
        let since = input.varint()?;
        changed_at[*member as usize] =
            revision.checked_sub(since).ok_or(DecodeError::Unknown { what: "revision of a change" })?;
    }
    Ok(changed_at)
}

fn read_leaves(input: &mut Reader<'_>) -> Result<LeafSet, DecodeError> {
    let mut bits = input.varint()?;
    let mut leaves = LeafSet::EMPTY;
    while bits != 0 {
        let leaf = Leaf::from_number(bits.trailing_zeros() as u8).ok_or(DecodeError::Unknown { what: "leaf" })?;
        leaves.insert(leaf);
        bits &= bits - 1;
    }
    Ok(leaves)
}
