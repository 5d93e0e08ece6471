//! The chunk of one section. Most leaves hold what a register holds, so the chunk says which, and not the value.
//!
//! ```text
//! field    form
//! leaves   one after the other in canonical order; the head of the state says which are present
//!   code   1 byte
//!   rest   by code
//! ```
//!
//! A chunk of the one byte [`ALL_OWNED`] stands for a section whose every leaf has the code [`OWNED`].
//!
//! | code | the leaf's value is | rest |
//! |---|---|---|
//! | `OWNED` | what the first register of the leaf with a value holds | |
//! | `VALUE` | its own | the value, as in `tokens` |
//! | `REGISTER` | what another register of the leaf holds | 1 byte: source, and place of the kind |
//! | `SIBLING` | that of another leaf of the same source's registers | 1 byte: number of that leaf |
//! | `STATUSES` | the batch of schemes with other statuses | count, and for each: place in the batch, status |
//! | `DEADLINES` | a list of the registers' deadlines | count, and for each: place among the details, days remaining |
//! | `NEWEST` | the time of a source's newest register | 1 byte: source |
//! | `TRACE` | a verb and a day for each source | count, and for each: a byte with source, verb and days after the day of the source's newest register; the day where that is not 0 or 1 |

use super::super::codec::{DecodeError, Reader, Writer};
use super::super::tokens;
use super::lists;
use super::registers::Registers;
use crate::canonical::CanonicalJson;
use crate::day::format_instant;
use crate::profile::Section;
use crate::source::Source;
use crate::table::{Leaf, LeafSet, Member};

/// Stands for the whole section.
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
    let is_owned = |(leaf, value): &(Leaf, CanonicalJson)| registers.owned(*leaf) == Some(value);
    if section.leaves().iter().all(is_owned) {
        out.u8(ALL_OWNED);
        return out.0;
    }
    for (leaf, value) in section.leaves() {
        write_leaf(&mut out, *leaf, value, registers);
    }
    out.0
}

fn write_leaf(out: &mut Writer, leaf: Leaf, value: &CanonicalJson, registers: &impl Registers) {
    if registers.owned(leaf) == Some(value) {
        return out.u8(OWNED);
    }
    if let Some((source, kind)) = registers.holding(leaf, value) {
        return out.fixed(&[REGISTER, (source as u8) << 4 | kind]);
    }
    if let Some(sibling) = leaf.field().member.leaves().iter().find(|other| registers.owned(*other) == Some(value)) {
        return out.fixed(&[SIBLING, sibling.field().number]);
    }
    if let Some(source) = newest_at(value, registers) {
        return out.fixed(&[NEWEST, source as u8]);
    }
    let start = out.0.len();
    for (code, write) in [
        (STATUSES, lists::write_statuses as fn(&mut Writer, Leaf, &str, &_) -> bool),
        (DEADLINES, lists::write_deadlines),
        (TRACE, lists::write_trace),
    ] {
        out.u8(code);
        if write(out, leaf, value.as_str(), registers) {
            return;
        }
        out.0.truncate(start);
    }
    out.u8(VALUE);
    tokens::encode(&mut out.0, value.as_str());
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
    for leaf in leaves.iter() {
        let value = if all_owned { owned(leaf, registers)? } else { read_leaf(&mut input, leaf, registers)? };
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

fn read_leaf(input: &mut Reader<'_>, leaf: Leaf, registers: &impl Registers) -> Result<CanonicalJson, DecodeError> {
    let mut text = String::new();
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
        STATUSES => lists::read_statuses(input, leaf, registers, &mut text)?,
        DEADLINES => lists::read_deadlines(input, registers, &mut text)?,
        TRACE => lists::read_trace(input, registers, &mut text)?,
        VALUE => input.with(|rest| tokens::decode(rest, &mut text))?,
        _ => return Err(DecodeError::Unknown { what: "code of a leaf" }),
    }
    Ok(CanonicalJson::from_canonical(text))
}
