//! A whole state, compact: what idle actors keep and checkpoints store.

use bytes::Bytes;

use super::FORMAT;
use super::codec::{DecodeError, Reader, Writer};
use crate::day::Day;
use crate::documents::{Register, SourceDocuments};
use crate::event::{RegisterPath, SharedText};
use crate::id::ProfileId;
use crate::profile::{Envelope, Profile};
use crate::source::Source;
use crate::state::UserState;
use crate::table::{Leaf, Member};

/// Packs a state. Unpacking gives an equal one.
pub fn pack(state: &UserState) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(2048));
    out.u8(FORMAT);
    out.varint(u64::from(state.generation));
    out.varint(state.sequence);
    out.varint(state.first_revision);
    out.signed(i64::from(state.day.0));
    out.varint(u64::from(state.rules));
    out.varint(u64::from(state.policy));
    out.fixed(&state.integrity_key);
    out.varint(u64::from(state.salt_count));
    out.fixed(&state.envelope.profile_id.to_bytes());
    out.varint(state.envelope.revision);
    out.signed(state.envelope.generated_at);
    out.varint(u64::from(state.envelope.assembly_latency_micros));
    out.fixed(&state.envelope.profile_hash);
    let changed = Member::ALL.iter().filter(|member| state.changed_at[**member as usize] != 0);
    out.varint(changed.clone().count() as u64);
    for member in changed {
        out.u8(member.number());
        out.varint(state.envelope.revision - state.changed_at[*member as usize]);
    }
    let registers = pack_documents(&mut out, &state.documents);
    out.varint(state.profile.present().len() as u64);
    for (leaf, value) in state.profile.leaves() {
        out.u8(leaf.field().number);
        // Most leaves are just what a register holds: name the register (from 1) instead of repeating the value.
        let holds =
            |register: &&Register| register.path == RegisterPath::Leaf(leaf) && register.value.as_ref() == Some(value);
        let same = registers.iter().position(holds);
        out.varint(same.map_or(0, |index| index as u64 + 1));
        if same.is_none() {
            out.value(Some(value));
        }
    }
    out.0
}

/// Packs the registers, with each distinct (time, event id) of a source once; gives them in the order packed.
fn pack_documents<'a>(out: &mut Writer, documents: &'a SourceDocuments) -> Vec<&'a Register> {
    let mut all = Vec::with_capacity(64);
    out.varint(documents.iter().count() as u64);
    for (source, document) in documents.iter() {
        let mut events: Vec<(i64, &SharedText)> = document.registers().iter().map(|r| (r.time, &r.event_id)).collect();
        events.sort_unstable();
        events.dedup();
        out.u8(source as u8);
        out.varint(events.len() as u64);
        let mut last = 0;
        for (time, id) in &events {
            out.signed(time - last);
            out.bytes(id.as_str().as_bytes());
            last = *time;
        }
        out.varint(document.registers().len() as u64);
        for register in document.registers() {
            out.path(&register.path, register.kind);
            let event = events.binary_search(&(register.time, &register.event_id)).unwrap_or_default();
            out.varint(event as u64);
            out.value(register.value.as_ref());
            all.push(register);
        }
    }
    all
}

/// Unpacks a state. Its values share the one buffer.
///
/// # Errors
/// The bytes are not a packed state of this format.
pub fn unpack(packed: impl Into<Bytes>) -> Result<UserState, DecodeError> {
    let mut input = Reader::new(packed.into());
    if input.u8()? != FORMAT {
        return Err(DecodeError::Unknown { what: "state format" });
    }
    let generation = input.u32()?;
    let (sequence, first_revision) = (input.varint()?, input.varint()?);
    let day = Day(i32::try_from(input.signed()?).map_err(|_| DecodeError::Unknown { what: "day" })?);
    let (rules, policy) = (input.u32()?, input.u32()?);
    let integrity_key = input.array()?;
    let salt_count = input.u32()?;
    let envelope = Envelope {
        profile_id: ProfileId::from_bytes(input.array()?),
        revision: input.varint()?,
        generated_at: input.signed()?,
        assembly_latency_micros: input.u32()?,
        profile_hash: input.array()?,
    };
    let mut changed_at = [0; Member::COUNT];
    for _ in 0..input.count()? {
        let member = Member::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "member" })?;
        changed_at[member as usize] = envelope.revision.saturating_sub(input.varint()?);
    }
    let documents = unpack_documents(&mut input)?;
    let profile = unpack_profile(&mut input, &documents)?;
    Ok(UserState {
        generation,
        sequence,
        first_revision,
        day,
        rules,
        policy,
        integrity_key,
        salt_count,
        changed_at,
        envelope,
        profile,
        documents,
        tree: None,
    })
}

fn unpack_documents(input: &mut Reader) -> Result<SourceDocuments, DecodeError> {
    let mut documents = SourceDocuments::default();
    for _ in 0..input.count()? {
        let source = Source::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "source" })?;
        let mut time = 0;
        let mut events = Vec::new();
        for _ in 0..input.count()? {
            time += input.signed()?;
            events.push((time, input.text()?));
        }
        let mut registers = Vec::new();
        for _ in 0..input.count()? {
            let (path, kind) = input.path()?;
            let event = events.get(input.varint()? as usize).ok_or(DecodeError::Unknown { what: "event" })?;
            let (time, event_id) = event.clone();
            registers.push(Register { path, kind, time, event_id, value: input.value()? });
        }
        documents.set(source, registers);
    }
    Ok(documents)
}

fn unpack_profile(input: &mut Reader, documents: &SourceDocuments) -> Result<Profile, DecodeError> {
    let registers: Vec<&Register> = documents.iter().flat_map(|(_, document)| document.registers()).collect();
    let mut leaves: Vec<(Leaf, _)> = Vec::new();
    for _ in 0..input.count()? {
        let leaf = input.leaf()?;
        let value = match input.varint()? as usize {
            0 => input.value()?,
            index => registers.get(index - 1).and_then(|register| register.value.clone()),
        };
        leaves.push((leaf, value.ok_or(DecodeError::Unknown { what: "leaf value" })?));
    }
    Ok(Profile::from_leaves(leaves))
}
