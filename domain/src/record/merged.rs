//! Changes that were merged into one: what differs between two states of a user's history.
//!
//! The states between the two can no longer be reached. Numbers and texts are as in `change`.
//!
//! ```text
//! length  field
//!      1  format, 2
//!         sequence and revision of the state before, 0 and the last generation's at the beginning of a generation
//!         revision after the one before, minus the one before: 1 if no revision was dropped
//!         time at which the first dropped revision was generated (signed); left out if none was
//!         day (signed), rules, policy
//!         -- at the beginning of a generation
//!     16  profile id
//!     16  integrity key
//!         first revision
//!         from generation 2 on: time of the erasure before (signed)
//!         --
//!      1  cause of the revision: 0 none, 1 an event, 2 a person's request
//!         -- 1 and 2: source (1 byte), event id; 2: person
//!         generated_at (signed), assembly latency, salt count
//!         members whose last change differs, a bit for each number
//!         for each of them, by name: revisions since its last change
//!         number of groups of registers with one stamp
//!         for each: source (1 byte), observed_at (signed), event id, number of writes, and the writes as in a change
//!         number of leaves
//!         for each: as in a change; writes count over all groups
//! ```

use super::FORMAT;
use super::block::{BlockRecord, DroppedRevisions};
use super::cause::Cause;
use super::change::{decode_event, set_consents, write_event};
use super::codec::{DecodeError, Reader, Writer};
use super::leaf_value::{LeafValue, set_leaves};
use crate::day::Day;
use crate::delta::changes;
use crate::documents::Register;
use crate::event::{AppliedEvent, RegisterWrite};
use crate::id::ProfileId;
use crate::integrity::LazyTree;
use crate::profile::{Envelope, Profile};
use crate::source::Source;
use crate::state::{NO_ERASURE, NewGeneration, UserState};
use crate::table::{Leaf, Member};

const NO_EVENT: u8 = 0;
const EVENT: u8 = 1;
const PERSON: u8 = 2;

/// The step from one state to a later one.
pub(super) struct MergedRun {
    generation: u32,
    sequence: u64,
    pub(super) base_sequence: u64,
    base_revision: u64,
    /// When the first revision was generated that the step jumps over; `None` if there is none.
    dropped_from: Option<i64>,
    /// Profile id, integrity key, first revision and the time of the erasure before.
    beginning: Option<(ProfileId, [u8; 16], u64, i64)>,
    day: Day,
    rules: u32,
    policy: u32,
    pub(super) cause: Cause,
    /// Without the profile's id.
    pub(super) envelope: Envelope,
    salt_count: u32,
    changed_at: Vec<(Member, u64)>,
    events: Vec<AppliedEvent>,
    leaves: Vec<(Leaf, LeafValue)>,
}

/// What the step between two states cannot be computed from the states.
pub(super) struct RunContext {
    /// When the first revision was generated that the step jumps over; `None` if there is none.
    pub(super) dropped_from: Option<i64>,
    /// The cause of the revision that it leads to.
    pub(super) cause: Cause,
}

/// Returns the body of the record that leads from `before` to `after`, which has a greater revision.
pub(super) fn encode_run(before: Option<&UserState>, after: &UserState, context: &RunContext) -> Vec<u8> {
    let empty = Profile::default();
    let old = before.map_or(&empty, |before| &before.profile);
    let base_revision = before.map_or(after.salts.first_revision - 1, |before| before.envelope.revision);
    let mut out = Writer(Vec::with_capacity(512));
    out.u8(FORMAT);
    out.varint(before.map_or(0, |before| before.sequence));
    out.varint(base_revision);
    let steps = after.envelope.revision - base_revision;
    out.varint(steps);
    if let Some(from) = context.dropped_from {
        out.signed(from);
    }
    out.signed(i64::from(after.day.0));
    out.varint(u64::from(after.rules));
    out.varint(u64::from(after.policy));
    if before.is_none() {
        out.fixed(&after.envelope.profile_id.to_bytes());
        out.fixed(&after.salts.key);
        out.varint(after.salts.first_revision);
        if after.generation > 1 {
            out.signed(after.begins_after);
        }
    }
    write_cause(&mut out, &context.cause);
    out.signed(after.envelope.generated_at);
    out.varint(u64::from(after.envelope.assembly_latency_micros));
    out.varint(u64::from(after.salts.count));
    write_changed_members(&mut out, before, after);
    let events = changed_registers(before, after);
    out.varint(events.len() as u64);
    events.iter().for_each(|event| write_event(&mut out, event));
    let writes: Vec<&RegisterWrite> = events.iter().flat_map(|event| &event.writes).collect();
    let changes = changes(old, &after.profile, Member::ALL.iter().copied());
    out.varint(changes.len() as u64);
    for change in &changes {
        let same = change.new.as_ref().and_then(|new| writes.iter().position(|w| w.value.as_ref() == Some(new)));
        out.varint(same.map_or(0, |index| index as u64 + 1));
        match same {
            Some(_) => out.u8(change.leaf.field().number),
            None => out.leaf(change.leaf, &LeafValue::between(change.leaf, old, change.new.as_ref())),
        }
    }
    out.0
}

fn write_cause(out: &mut Writer, cause: &Cause) {
    let mut event = |kind, source: Source, id: &str| {
        out.u8(kind);
        out.u8(source as u8);
        out.bytes(id.as_bytes());
    };
    match cause {
        Cause::Roll => out.u8(NO_EVENT),
        Cause::Feed { source, event_id } => event(EVENT, *source, event_id.as_str()),
        Cause::Person { person, source, event_id } => {
            event(PERSON, *source, event_id.as_str());
            out.bytes(person.as_str().as_bytes());
        }
    }
}

fn read_cause(input: &mut Reader) -> Result<Cause, DecodeError> {
    let kind = input.u8()?;
    if kind == NO_EVENT {
        return Ok(Cause::Roll);
    }
    let source = Source::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "source" })?;
    let event_id = input.text()?;
    match kind {
        EVENT => Ok(Cause::Feed { source, event_id }),
        PERSON => Ok(Cause::Person { person: input.text()?, source, event_id }),
        _ => Err(DecodeError::Unknown { what: "cause" }),
    }
}

fn write_changed_members(out: &mut Writer, before: Option<&UserState>, after: &UserState) {
    let old = |member: Member| before.map_or(0, |before| before.salts.changed_at[member as usize]);
    let changed = Member::ALL.iter().filter(|member| after.salts.changed_at[**member as usize] != old(**member));
    out.varint(changed.clone().fold(0, |bits, member| bits | 1 << member.number()));
    for member in changed {
        out.varint(after.envelope.revision - after.salts.changed_at[*member as usize]);
    }
}

/// Returns the registers that differ after, grouped by their stamps.
fn changed_registers(before: Option<&UserState>, after: &UserState) -> Vec<AppliedEvent> {
    let mut events: Vec<AppliedEvent> = Vec::new();
    for (source, document) in after.documents.iter() {
        let held = |register: &Register| {
            before.and_then(|before| before.documents.get(source, &register.path, register.kind)) == Some(register)
        };
        let first = events.len();
        for register in document.registers().iter().filter(|register| !held(register)) {
            let is_same = |event: &&mut AppliedEvent| event.time == register.time && event.id == register.event_id;
            let (path, kind, value) = (register.path.clone(), register.kind, register.value.clone());
            let write = RegisterWrite { path, kind, value };
            match events[first..].iter_mut().find(is_same) {
                Some(event) => event.writes.push(write),
                None => {
                    let (time, id) = (register.time, register.event_id.clone());
                    events.push(AppliedEvent { source, time, id, person: None, writes: vec![write] });
                }
            }
        }
    }
    events
}

impl MergedRun {
    /// Reads the run in a record.
    ///
    /// # Errors
    /// The record is not one of this format.
    pub(super) fn decode(record: BlockRecord<'_>) -> Result<Self, DecodeError> {
        let mut input = Reader::new(record.body);
        if input.u8()? != FORMAT {
            return Err(DecodeError::Unknown { what: "record format" });
        }
        let (base_sequence, base_revision, steps) = (input.varint()?, input.varint()?, input.varint()?);
        let revision =
            base_revision.checked_add(steps).filter(|_| steps > 0).ok_or(DecodeError::Unknown { what: "revision" })?;
        let dropped_from = if steps > 1 { Some(input.signed()?) } else { None };
        let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
        let (rules, policy) = (input.u32()?, input.u32()?);
        let beginning = match base_sequence {
            0 => {
                let (profile_id, key) = (ProfileId::from_bytes(input.array()?), input.array()?);
                let first_revision = input.varint()?;
                let begins_after = if record.generation > 1 { input.signed()? } else { NO_ERASURE };
                Some((profile_id, key, first_revision, begins_after))
            }
            _ => None,
        };
        let cause = read_cause(&mut input)?;
        let envelope = Envelope {
            profile_id: ProfileId::from_bytes([0; 16]),
            revision,
            generated_at: input.signed()?,
            assembly_latency_micros: input.u32()?,
        };
        let salt_count = input.u32()?;
        let changed_at = read_changed_members(&mut input, revision)?;
        let events = (0..input.count()?).map(|_| decode_event(&mut input)).collect::<Result<Vec<_>, _>>()?;
        let writes: Vec<&RegisterWrite> = events.iter().flat_map(|event| &event.writes).collect();
        let leaves = (0..input.count()?).map(|_| match input.varint()? as usize {
            0 => input.leaf_value(),
            index => {
                let write = writes.get(index - 1).ok_or(DecodeError::Unknown { what: "write" })?;
                Ok((input.leaf()?, LeafValue::whole(write.value.clone())))
            }
        });
        let leaves = leaves.collect::<Result<_, _>>()?;
        if !input.is_empty() {
            return Err(DecodeError::Unknown { what: "tail" });
        }
        let (generation, sequence) = (record.generation, record.sequence);
        Ok(Self {
            generation,
            sequence,
            base_sequence,
            base_revision,
            dropped_from,
            beginning,
            day,
            rules,
            policy,
            cause,
            envelope,
            salt_count,
            changed_at,
            events,
            leaves,
        })
    }

    /// Returns the revisions that the step jumps over.
    pub(super) fn dropped(&self) -> Option<DroppedRevisions> {
        Some(DroppedRevisions { base: self.base_revision, from: self.dropped_from? })
    }

    /// Returns the leaves that differ, with their values.
    pub(super) fn leaves(&self) -> &[(Leaf, LeafValue)] {
        &self.leaves
    }

    /// Returns the registers that differ, by their events.
    pub(super) fn events(&self) -> &[AppliedEvent] {
        &self.events
    }

    /// Gives the leaves of the consent their values.
    pub(super) fn set_consents(&self, profile: &mut Profile) -> Result<(), DecodeError> {
        set_consents(&self.leaves, profile)
    }

    /// Returns the state that the step begins with, or an error if `before` is another one.
    fn base(&self, before: Option<UserState>) -> Result<UserState, DecodeError> {
        match (before, self.beginning) {
            (Some(state), None)
                if (state.generation, state.sequence, state.envelope.revision)
                    == (self.generation, self.base_sequence, self.base_revision) =>
            {
                Ok(state)
            }
            (None, Some((profile_id, integrity_key, first_revision, begins_after))) => {
                Ok(UserState::new(NewGeneration {
                    profile_id,
                    integrity_key,
                    generation: self.generation,
                    begins_after,
                    first_revision,
                    day: self.day,
                    rules: self.rules,
                    policy: self.policy,
                }))
            }
            _ => Err(DecodeError::Unknown { what: "predecessor" }),
        }
    }

    /// Returns the state after the step is applied to `before`.
    ///
    /// # Errors
    /// The step does not follow `before`.
    pub(super) fn apply(&self, before: Option<UserState>) -> Result<UserState, DecodeError> {
        let mut state = self.base(before)?;
        state.sequence = self.sequence;
        (state.day, state.rules, state.policy) = (self.day, self.rules, self.policy);
        state.tree = LazyTree::default();
        for event in &self.events {
            for write in &event.writes {
                state.documents.write(event.source, event.time, &event.id, write);
            }
        }
        state.envelope = Envelope { profile_id: state.envelope.profile_id, ..self.envelope };
        state.salts.count = self.salt_count;
        for (member, revision) in &self.changed_at {
            state.salts.changed_at[*member as usize] = *revision;
        }
        set_leaves(&mut state.profile, &self.leaves)?;
        Ok(state)
    }
}

fn read_changed_members(input: &mut Reader, revision: u64) -> Result<Vec<(Member, u64)>, DecodeError> {
    let bits = input.varint()?;
    let changed = Member::ALL.iter().filter(|member| bits & 1 << member.number() != 0);
    let read = changed.map(|member| {
        let since = input.varint()?;
        let at = revision.checked_sub(since).ok_or(DecodeError::Unknown { what: "revision of a change" })?;
        Ok((*member, at))
    });
    read.collect()
}
