//! One step of a user's state, the body of a journal frame.
//!
//! Numbers are in LEB128 unless a length is given, signed ones in zigzag form; a text or value is its length and its
//! bytes. A value that may be absent is its length + 1 and its bytes, or 0.
//!
//! ```text
//! length  field
//!      1  format, 2
//!      1  flags: 1 new generation, 2 revised, 4 event, 8 parts; others are refused
//!         day (signed), rules, policy
//!         -- new generation
//!     16  profile id
//!     16  integrity key
//!         generation
//!         from generation 2 on: time of the erasure before (signed)
//!         -- event
//!      1  source
//!         observed_at (signed), event id, number of writes
//!         for each: path (1 byte, kind 1 byte, and the id of an item where the path has one), value or 0
//!         -- revised
//!         revision, generated_at (signed), assembly latency
//!         salt count, number of leaves
//!         for each: n, the write (from 1) that has its value, and the leaf (1 byte);
//!         or 0, the leaf (1 byte, + 128 for an edit), and the value, 0 or the edit
//!         -- parts
//!         for each, by ascending tag: tag (1 byte), length, bytes
//! ```
//!
//! The parts are 1, the person whose request the event is, as text, and 2, a snapshot that was taken or removed
//! (`snapshot_mark`). A change with the second one has no other part, no event and no revision.

use super::FORMAT;
use super::block::BlockRecord;
use super::cause::Cause;
use super::codec::{DecodeError, Reader, Writer};
use super::leaf_value::{LeafValue, set_leaves};
use super::parts::Parts;
use crate::day::Day;
use crate::delta::Delta;
use crate::event::{AppliedEvent, RegisterWrite};
use crate::id::ProfileId;
use crate::integrity::LazyTree;
use crate::port::journal::{Record, RecordKind};
use crate::profile::{Envelope, Profile};
use crate::snapshot::SnapshotMark;
use crate::source::Source;
use crate::state::{NO_ERASURE, NewGeneration, UserState};
use crate::table::{Leaf, Member};

const NEW_GENERATION: u8 = 1;
const REVISED: u8 = 2;
const EVENT: u8 = 4;
const PARTS: u8 = 8;
const KNOWN_FLAGS: u8 = NEW_GENERATION | REVISED | EVENT | PARTS;

/// A change as it is stored.
pub(super) struct StoredChange {
    generation: u32,
    pub(super) sequence: u64,
    pub(super) new_generation: Option<GenerationStart>,
    day: Day,
    rules: u32,
    policy: u32,
    pub(super) event: Option<AppliedEvent>,
    pub(super) revised: Option<Revised>,
    pub(super) snapshot: Option<SnapshotMark>,
}

/// What the first change of a generation holds.
#[derive(Clone, Copy)]
pub(super) struct GenerationStart {
    pub(super) profile_id: ProfileId,
    pub(super) integrity_key: [u8; 16],
    generation: u32,
    begins_after: i64,
}

/// The result of a revision.
pub(super) struct Revised {
    /// Without the profile's id, which only the first change of a generation holds.
    pub(super) envelope: Envelope,
    pub(super) salt_count: u32,
    pub(super) leaves: Vec<(Leaf, LeafValue)>,
}

/// Returns the body of the record that leads from the profile `before` to `next`.
pub(crate) fn encode(
    before: &Profile,
    next: &UserState,
    is_new: bool,
    applied: Option<&AppliedEvent>,
    delta: Option<&Delta>,
) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(512));
    out.u8(FORMAT);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let parts = Parts { person: applied.and_then(|applied| applied.person.clone()), snapshot: None };
    out.u8(flag(is_new, NEW_GENERATION)
        | flag(delta.is_some(), REVISED)
        | flag(applied.is_some(), EVENT)
        | flag(!parts.is_empty(), PARTS));
    out.signed(i64::from(next.day.0));
    out.varint(u64::from(next.rules));
    out.varint(u64::from(next.policy));
    if is_new {
        out.fixed(&next.envelope.profile_id.to_bytes());
        out.fixed(&next.salts.key);
        out.varint(u64::from(next.generation));
        if next.generation > 1 {
            out.signed(next.begins_after);
        }
    }
    let writes = applied.map_or(&[][..], |applied| &applied.writes);
    if let Some(applied) = applied {
        write_event(&mut out, applied);
    }
    if let Some(delta) = delta {
        out.varint(next.envelope.revision);
        out.signed(next.envelope.generated_at);
        out.varint(u64::from(next.envelope.assembly_latency_micros));
        out.varint(u64::from(next.salts.count));
        out.varint(delta.changes.len() as u64);
        for change in &delta.changes {
            // Most leaves are just what a write set: name the write (from 1) instead of repeating the value.
            let same = change.new.as_ref().and_then(|new| writes.iter().position(|w| w.value.as_ref() == Some(new)));
            out.varint(same.map_or(0, |index| index as u64 + 1));
            match same {
                Some(_) => out.u8(change.leaf.field().number),
                None => out.leaf(change.leaf, &LeafValue::between(change.leaf, before, change.new.as_ref())),
            }
        }
    }
    parts.write(&mut out);
    out.0
}

/// Returns the body of the record that leads to `next` and says nothing but a mark about snapshots.
pub(crate) fn encode_mark(next: &UserState, mark: SnapshotMark) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(64));
    out.u8(FORMAT);
    out.u8(PARTS);
    out.signed(i64::from(next.day.0));
    out.varint(u64::from(next.rules));
    out.varint(u64::from(next.policy));
    Parts { person: None, snapshot: Some(mark) }.write(&mut out);
    out.0
}

/// Returns what a record says about snapshots. Only a record that says nothing else is decoded.
///
/// # Errors
/// The record is not a change of this format.
pub(super) fn snapshot_mark(record: BlockRecord<'_>) -> Result<Option<SnapshotMark>, DecodeError> {
    check_kind(record.kind)?;
    match record.body {
        [_, PARTS, ..] => Ok(decode(record)?.snapshot),
        _ => Ok(None),
    }
}

/// Reads the change in a record.
pub(super) fn decode(record: BlockRecord<'_>) -> Result<StoredChange, DecodeError> {
    check_kind(record.kind)?;
    let mut input = Reader::new(record.body);
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "record format" });
    }
    let flags = input.u8()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(DecodeError::Unknown { what: "flag" });
    }
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let (rules, policy) = (input.u32()?, input.u32()?);
    let new_generation = match flags & NEW_GENERATION {
        0 => None,
        _ => Some(read_generation_start(&mut input)?),
    };
    let mut event = if flags & EVENT == 0 { None } else { Some(decode_event(&mut input)?) };
    let writes = event.as_ref().map_or(&[][..], |applied: &AppliedEvent| &applied.writes);
    let revised = if flags & REVISED == 0 { None } else { Some(decode_revised(&mut input, writes)?) };
    let mut snapshot = None;
    if flags & PARTS != 0 {
        let parts = Parts::read(&mut input)?;
        snapshot = parts.snapshot;
        if snapshot.is_some() && (flags != PARTS || parts.person.is_some()) {
            return Err(DecodeError::Unknown { what: "part beside a snapshot" });
        }
        if let Some(person) = parts.person {
            event.as_mut().ok_or(DecodeError::Unknown { what: "part without an event" })?.person = Some(person);
        }
    }
    if !input.is_empty() {
        return Err(DecodeError::Unknown { what: "tail" });
    }
    let (generation, sequence) = (record.generation, record.sequence);
    Ok(StoredChange { generation, sequence, new_generation, day, rules, policy, event, revised, snapshot })
}

fn read_generation_start(input: &mut Reader) -> Result<GenerationStart, DecodeError> {
    let (profile_id, integrity_key) = (ProfileId::from_bytes(input.array()?), input.array()?);
    let generation = input.u32()?;
    let begins_after = if generation > 1 { input.signed()? } else { NO_ERASURE };
    Ok(GenerationStart { profile_id, integrity_key, generation, begins_after })
}

/// Refuses records of other kinds than changes.
pub(super) fn check_kind(kind: RecordKind) -> Result<(), DecodeError> {
    if kind == RecordKind::CHANGE { Ok(()) } else { Err(DecodeError::Unknown { what: "kind of record" }) }
}

pub(super) fn decode_event(input: &mut Reader) -> Result<AppliedEvent, DecodeError> {
    let source = Source::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "source" })?;
    let (time, id) = (input.signed()?, input.text()?);
    let writes = (0..input.count()?).map(|_| {
        let (path, kind) = input.path()?;
        Ok(RegisterWrite { path, kind, value: input.value()? })
    });
    Ok(AppliedEvent { source, time, id, person: None, writes: writes.collect::<Result<_, _>>()? })
}

/// Appends the writes of an event.
pub(super) fn write_event(out: &mut Writer, event: &AppliedEvent) {
    out.u8(event.source as u8);
    out.signed(event.time);
    out.bytes(event.id.as_str().as_bytes());
    out.varint(event.writes.len() as u64);
    for write in &event.writes {
        out.path(&write.path, write.kind);
        out.value(write.value.as_ref());
    }
}

fn decode_revised(input: &mut Reader, writes: &[RegisterWrite]) -> Result<Revised, DecodeError> {
    let envelope = Envelope {
        profile_id: ProfileId::from_bytes([0; 16]),
        revision: input.varint()?,
        generated_at: input.signed()?,
        assembly_latency_micros: input.u32()?,
    };
    if envelope.revision == 0 {
        return Err(DecodeError::Unknown { what: "revision" });
    }
    let salt_count = input.u32()?;
    let leaves = (0..input.count()?).map(|_| match input.varint()? as usize {
        0 => input.leaf_value(),
        index => {
            let write = writes.get(index - 1).ok_or(DecodeError::Unknown { what: "write" })?;
            Ok((input.leaf()?, LeafValue::whole(write.value.clone())))
        }
    });
    let leaves = leaves.collect::<Result<_, _>>()?;
    Ok(Revised { envelope, salt_count, leaves })
}

/// Gives the leaves of the consent their values. They are never stored as edits of others.
pub(super) fn set_consents(leaves: &[(Leaf, LeafValue)], profile: &mut Profile) -> Result<(), DecodeError> {
    let is_consent = |(leaf, _): &&(Leaf, LeafValue)| leaf.field().member == Member::Consent;
    let leaves: Vec<_> = leaves.iter().filter(is_consent).cloned().collect();
    if leaves.is_empty() { Ok(()) } else { set_leaves(profile, &leaves) }
}

impl Revised {
    /// Gives the leaves of the consent their values. They are never stored as edits of others.
    pub(super) fn set_consents(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        set_consents(&self.leaves, profile)
    }
}

impl StoredChange {
    /// Returns why the change was made.
    pub(super) fn cause(&self) -> Cause {
        match &self.event {
            None => Cause::Roll,
            Some(AppliedEvent { source, id, person, .. }) => Cause::of_event(*source, id.clone(), person.clone()),
        }
    }

    /// Returns whether the change continues `state`.
    fn continues(&self, state: &UserState) -> bool {
        let revision = self.revised.as_ref().map(|revised| revised.envelope.revision);
        self.generation == state.generation
            && self.sequence == state.sequence + 1
            && revision.is_none_or(|revision| revision == state.envelope.revision + 1)
    }

    /// Returns the state after the change is applied to `before`.
    pub(super) fn apply(&self, before: Option<UserState>) -> Result<UserState, DecodeError> {
        let mut state = match (before, &self.new_generation) {
            (Some(state), None) if self.continues(&state) => state,
            (None, &Some(start)) if start.generation == self.generation => {
                let GenerationStart { profile_id, integrity_key, generation, begins_after } = start;
                UserState::new(NewGeneration {
                    profile_id,
                    integrity_key,
                    generation,
                    begins_after,
                    first_revision: self.revised.as_ref().map_or(1, |revised| revised.envelope.revision),
                    day: self.day,
                    rules: self.rules,
                    policy: self.policy,
                })
            }
            _ => return Err(DecodeError::Unknown { what: "predecessor" }),
        };
        state.sequence = self.sequence;
        state.day = self.day;
        state.rules = self.rules;
        state.policy = self.policy;
        state.tree = LazyTree::default();
        if let Some(applied) = &self.event {
            for write in &applied.writes {
                state.documents.write(applied.source, applied.time, &applied.id, write);
            }
        }
        if let Some(revised) = &self.revised {
            state.envelope = Envelope { profile_id: state.envelope.profile_id, ..revised.envelope };
            state.salts.count = revised.salt_count;
            for (leaf, _) in &revised.leaves {
                state.salts.changed_at[leaf.field().member as usize] = revised.envelope.revision;
            }
            set_leaves(&mut state.profile, &revised.leaves)?;
        }
        Ok(state)
    }
}

/// Replays one record over the state before it.
///
/// # Errors
/// The record is not a change of this format, or does not follow `before`.
pub fn replay(before: Option<UserState>, record: &Record) -> Result<UserState, DecodeError> {
    decode(record.into())?.apply(before)
}
