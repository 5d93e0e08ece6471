//! The chunk of one section. Most leaves hold what a register holds, so the chunk says which, and not the value.
//!
//! ```text
//! length  field
//!      1  0 where every leaf has the code 1, and no more
//!         for each leaf that is present, in canonical order, otherwise:
//!      1  code
//!         -- 1: the value of the leaf's first register that holds one
//!         -- 2: the value, as in `tokens`
//!         -- 3: the value of another of its registers
//!      1  source in the upper half, place of the kind in the lower one
//!         -- 4: the value of another leaf's first register
//!      1  that leaf
//!         -- 5: the batch of schemes with other statuses
//!         number of them, and for each: place in the batch, and the status as in `tokens`
//!         -- 6: deadlines of the registers
//!         number of them, and for each: place among the details, days remaining (signed)
//!         -- 7: the time of a source's newest register
//!      1  source
//!         -- 8: a trace
//!         number of sources, and for each:
//!      1  source, + 16 for synced, + 32 for computed, + 64 for the day after that of its newest register in UTC;
//!         or + 128, and the day (signed)
//! ```

use std::mem::discriminant;

use super::super::codec::{DecodeError, Reader, Writer};
use super::super::tokens;
use super::document::read_value;
use super::lists;
use super::registers::Registers;
use crate::canonical::CanonicalJson;
use crate::day::format_instant;
use crate::profile::Section;
use crate::source::Source;
use crate::table::{Leaf, LeafSet, Member, ValueType};

/// Stands for the whole section, whose every leaf is [`OWNED`].
const ALL_OWNED: u8 = 0;
const OWNED: u8 = 1;
const VALUE: u8 = 2;
const REGISTER: u8 = 3;
const SIBLING: u8 = 4;
const STATUSES: u8 = 5;
const DEADLINES: u8 = 6;
const NEWEST: u8 = 7;
const TRACE: u8 = 8;

/// Appends the chunk of a section to `out`. `registers` are those of the same state.
pub(super) fn encode(out: Vec<u8>, section: &Section, registers: &impl Registers) -> Vec<u8> {
    let mut out = Writer(out);
    let start = out.0.len();
    for (leaf, value) in section.leaves() {
        write_leaf(&mut out, *leaf, value, registers);
    }
    // Only this code stands alone, so that the chunk has no other leaf if it has one byte for each.
    let codes = &out.0[start..];
    if codes.len() == section.leaves().len() && codes.iter().all(|code| *code == OWNED) {
        out.0.truncate(start);
        out.u8(ALL_OWNED);
    }
    out.0
}

fn write_leaf(out: &mut Writer, leaf: Leaf, value: &CanonicalJson, registers: &impl Registers) {
    if registers.owned(leaf) == Some(value) {
        return out.u8(OWNED);
    }
    let start = out.0.len();
    let written = match leaf.field().value {
        ValueType::Schemes => {
            out.u8(STATUSES);
            lists::write_statuses(out, leaf, value.as_str(), registers)
        }
        ValueType::Deadlines => {
            out.u8(DEADLINES);
            lists::write_deadlines(out, value.as_str(), registers)
        }
        ValueType::SourceTrace => {
            out.u8(TRACE);
            lists::write_trace(out, value.as_str(), registers)
        }
        _ => false,
    };
    if written {
        return;
    }
    out.0.truncate(start);
    if let Some((source, kind)) = registers.holding(leaf, value) {
        return out.fixed(&[REGISTER, (source as u8) << 4 | kind]);
    }
    if let Some(sibling) = sibling(leaf, value, registers) {
        return out.fixed(&[SIBLING, sibling.field().number]);
    }
    if let Some(source) = newest_at(value, registers) {
        return out.fixed(&[NEWEST, source as u8]);
    }
    out.u8(VALUE);
    tokens::encode(&mut out.0, value.as_str());
}

/// Returns a leaf of the same section and type whose register holds `value`.
fn sibling(leaf: Leaf, value: &CanonicalJson, registers: &impl Registers) -> Option<Leaf> {
    let leaves = leaf.field().member.leaves();
    let mut alike =
        leaves.iter().filter(|other| discriminant(&other.field().value) == discriminant(&leaf.field().value));
    alike.find(|other| registers.owned(*other) == Some(value))
}

/// Returns the source whose newest register has the time that is written in `value`.
fn newest_at(value: &CanonicalJson, registers: &impl Registers) -> Option<Source> {
    // Only one leaf holds such a time, and it is the newest of this source.
    let source = Source::Consent;
    let text = value.plain_str().filter(|text| text.ends_with('Z'))?;
    (format_instant(registers.newest(source)?) == text).then_some(source)
}

/// Decodes the chunk of a member's section, whose leaves `present` are present.
pub(super) fn decode(
    chunk: &[u8],
    member: Member,
    present: LeafSet,
    registers: &impl Registers,
) -> Result<Section, DecodeError> {
    let mut input = Reader::new(chunk);
    let leaves = present.and(member.leaves());
    let mut values = Vec::with_capacity(leaves.len());
    let all_owned = chunk == [ALL_OWNED];
    let mut text = String::new();
    for leaf in leaves.iter() {
        let value =
            if all_owned { owned(leaf, registers)? } else { read_leaf(&mut input, leaf, registers, &mut text)? };
        values.push((leaf, value));
    }
    if !input.is_empty() && !all_owned {
        return Err(DecodeError::Unknown { what: "tail" });
    }
    Section::new(values).ok_or(DecodeError::Unknown { what: "section" })
}

fn owned(leaf: Leaf, registers: &impl Registers) -> Result<CanonicalJson, DecodeError> {
    registers.owned(leaf).cloned().ok_or(DecodeError::Unknown { what: "register of a leaf" })
}

/// Reads a leaf. `text` is a buffer, whose content is lost.
fn read_leaf(
    input: &mut Reader<'_>,
    leaf: Leaf,
    registers: &impl Registers,
    text: &mut String,
) -> Result<CanonicalJson, DecodeError> {
    text.clear();
    match input.u8()? {
        OWNED => return owned(leaf, registers),
        REGISTER => {
            let byte = input.u8()?;
            let source = Source::from_number(byte >> 4).ok_or(DecodeError::Unknown { what: "source" })?;
            let value = registers.value(source, leaf, byte & 15);
            return value.cloned().ok_or(DecodeError::Unknown { what: "register of a leaf" });
        }
        SIBLING => return owned(input.leaf()?, registers),
        NEWEST => {
            let source = Source::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "source" })?;
            let newest = registers.newest(source).ok_or(DecodeError::Unknown { what: "register of a source" })?;
            return Ok(CanonicalJson::string(&format_instant(newest)));
        }
        STATUSES => lists::read_statuses(input, leaf, registers, text)?,
        DEADLINES => lists::read_deadlines(input, registers, text)?,
        TRACE => return lists::read_trace(input, registers),
        VALUE => return read_value(input, text),
        _ => return Err(DecodeError::Unknown { what: "code of a leaf" }),
    }
    Ok(CanonicalJson::from_canonical(text.as_str()))
}
