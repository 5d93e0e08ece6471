//! The chunk of one source document.
//!
//! ```text
//! length  field
//!         number of stamps
//!         for each, newest first: its time, as a span since 2020-01-01 in zigzag form for the newest and back from the
//!         one before for the others, and the id of the event, a bare text as in `tokens`
//!         -- registers, to the end of the chunk, in the order of path and kind
//!      1  255 for a register whose value was withdrawn; left out for others
//!      1  path: the number of a leaf, + 64 for the source's second kind, + 128 for its third; 192 source_confidence,
//!         193 aggregated_metrics, 194 status of a scheme, 195 details and 196 completion of a deadline, each with the
//!         id of the item, a bare text; 197 any leaf and kind, which follow in a byte each
//!         the place of the register's stamp; left out where there is only one stamp
//!         the value, as in `tokens`; left out for a withdrawn one
//! ```
//!
//! A span is a number of microseconds: twice the number, or twice the milliseconds + 1 for whole milliseconds.

use smallvec::SmallVec;

use super::super::codec::{DecodeError, Reader, Writer};
use super::super::tokens;
use crate::canonical::CanonicalJson;
use crate::documents::{Register, SourceDocument};
use crate::event::{RegisterPath, SharedText};
use crate::source::{Source, ValueKind};
use crate::table::Leaf;

const SOURCE_CONFIDENCE: u8 = 0xc0;
const AGGREGATED_METRICS: u8 = 0xc1;
const SCHEME_STATUS: u8 = 0xc2;
const DEADLINE_DETAILS: u8 = 0xc3;
const DEADLINE_COMPLETION: u8 = 0xc4;
/// The leaf's number follows in a byte, and then the kind.
const WIDE_LEAF: u8 = 0xc5;
/// Stands before the path of a register whose value was withdrawn.
const WITHDRAWN: u8 = 0xff;

const LEAF_BITS: u8 = 6;
const LEAF_MASK: u8 = (1 << LEAF_BITS) - 1;
/// Kinds at this place or behind it do not fit beside a leaf's number.
const WIDE_KIND: u8 = 3;

/// Times are stored since 2020-01-01, in microseconds.
const EPOCH: i64 = 1_577_836_800_000_000;

/// A stamp without the hash of its value.
type Stamp<'a> = (i64, &'a str);

/// Appends the chunk of a document to `out`.
pub(super) fn encode(out: Vec<u8>, source: Source, document: &SourceDocument) -> Vec<u8> {
    let registers = document.registers();
    let mut out = Writer(out);
    let mut stamps: SmallVec<[Stamp<'_>; 16]> = registers.iter().map(|r| (r.time, r.event_id.as_str())).collect();
    stamps.sort_unstable_by(|a, b| b.cmp(a));
    stamps.dedup();
    out.varint(stamps.len() as u64);
    let mut last = None;
    for (time, id) in &stamps {
        match last {
            None => write_time(&mut out, *time),
            Some(last) => write_span(&mut out, last - *time),
        }
        last = Some(*time);
        tokens::encode_text(&mut out.0, id);
    }
    for register in registers {
        write_path(&mut out, source, register);
        if stamps.len() > 1 {
            let stamp: Stamp<'_> = (register.time, register.event_id.as_str());
            let place = stamps.binary_search_by(|found| stamp.cmp(found)).unwrap_or_default();
            out.varint(place as u64);
        }
        if let Some(value) = &register.value {
            tokens::encode(&mut out.0, value.as_str());
        }
    }
    out.0
}

fn write_path(out: &mut Writer, source: Source, register: &Register) {
    if register.value.is_none() {
        out.u8(WITHDRAWN);
    }
    let mut with_id = |tag, id: &SharedText| {
        out.u8(tag);
        tokens::encode_text(&mut out.0, id.as_str());
    };
    match &register.path {
        RegisterPath::SchemeStatus(id) => with_id(SCHEME_STATUS, id),
        RegisterPath::DeadlineDetails(id) => with_id(DEADLINE_DETAILS, id),
        RegisterPath::DeadlineCompletion(id) => with_id(DEADLINE_COMPLETION, id),
        RegisterPath::SourceConfidence => out.u8(SOURCE_CONFIDENCE),
        RegisterPath::AggregatedMetrics => out.u8(AGGREGATED_METRICS),
        RegisterPath::Leaf(leaf) => {
            let number = leaf.field().number;
            let place = source.kinds().iter().position(|kind| *kind == register.kind);
            match place.and_then(|place| u8::try_from(place).ok()).filter(|place| *place < WIDE_KIND) {
                Some(place) if number <= LEAF_MASK => out.u8(place << LEAF_BITS | number),
                _ => out.fixed(&[WIDE_LEAF, number, register.kind as u8]),
            }
        }
    }
}

/// Returns the newest `observed_at` in a chunk.
pub(super) fn newest(chunk: &[u8]) -> Option<i64> {
    let mut input = Reader::new(chunk);
    input.varint().ok()?;
    read_time(&mut input).ok()
}

/// Decodes the chunk of a document of `source`.
pub(super) fn decode(chunk: &[u8], source: Source) -> Result<SourceDocument, DecodeError> {
    let mut input = Reader::new(chunk);
    // Holds one text at a time.
    let mut text = String::with_capacity(64);
    let stamps = read_stamps(&mut input, &mut text)?;
    let mut registers = Vec::with_capacity(MAX_RESERVED.min(chunk.len() / BYTES_OF_REGISTER + 1));
    while !input.is_empty() {
        registers.push(read_register(&mut input, source, &stamps, &mut text)?);
    }
    Ok(SourceDocument::from_stored(registers))
}

/// About the bytes of a register in its chunk, its share of the stamps included.
const BYTES_OF_REGISTER: usize = 4;
/// Maximum number of registers that room is made for before they are read.
const MAX_RESERVED: usize = 24;

/// The stamps of a document, newest first. Most documents have few.
type Stamps = SmallVec<[(i64, SharedText); 4]>;

fn read_stamps(input: &mut Reader<'_>, text: &mut String) -> Result<Stamps, DecodeError> {
    let count = input.count()?;
    let mut stamps = Stamps::with_capacity(count);
    let mut time = 0;
    for index in 0..count {
        time = if index == 0 { read_time(input)? } else { time - read_span(input)? };
        stamps.push((time, read_text(input, text)?));
    }
    Ok(stamps)
}

fn read_register(
    input: &mut Reader<'_>,
    source: Source,
    stamps: &Stamps,
    text: &mut String,
) -> Result<Register, DecodeError> {
    let mut tag = input.u8()?;
    let withdrawn = tag == WITHDRAWN;
    if withdrawn {
        tag = input.u8()?;
    }
    let (path, kind) = read_path(input, source, tag, text)?;
    let place = if stamps.len() > 1 { input.varint()? as usize } else { 0 };
    let (time, event_id) = stamps.get(place).ok_or(DecodeError::Unknown { what: "stamp" })?;
    let value = if withdrawn { None } else { Some(read_value(input, text)?) };
    Ok(Register { path, kind, time: *time, event_id: event_id.clone(), value })
}

fn read_path(
    input: &mut Reader<'_>,
    source: Source,
    tag: u8,
    text: &mut String,
) -> Result<(RegisterPath, ValueKind), DecodeError> {
    let leaf = |number| Leaf::from_number(number).ok_or(DecodeError::Unknown { what: "leaf" });
    let kind = |place: u8| source.kinds().get(usize::from(place)).copied().ok_or(DecodeError::Unknown { what: "kind" });
    let path = match tag {
        SOURCE_CONFIDENCE => RegisterPath::SourceConfidence,
        AGGREGATED_METRICS => RegisterPath::AggregatedMetrics,
        SCHEME_STATUS => RegisterPath::SchemeStatus(read_text(input, text)?),
        DEADLINE_DETAILS => RegisterPath::DeadlineDetails(read_text(input, text)?),
        DEADLINE_COMPLETION => RegisterPath::DeadlineCompletion(read_text(input, text)?),
        WIDE_LEAF => {
            let leaf = leaf(input.u8()?)?;
            let kind = ValueKind::from_number(input.u8()?).ok_or(DecodeError::Unknown { what: "kind" })?;
            return Ok((RegisterPath::Leaf(leaf), kind));
        }
        _ if tag >> LEAF_BITS < WIDE_KIND => {
            return Ok((RegisterPath::Leaf(leaf(tag & LEAF_MASK)?), kind(tag >> LEAF_BITS)?));
        }
        _ => return Err(DecodeError::Unknown { what: "path" }),
    };
    Ok((path, kind(0)?))
}

fn read_text(input: &mut Reader<'_>, text: &mut String) -> Result<SharedText, DecodeError> {
    text.clear();
    input.with(|rest| tokens::decode_text(rest, text))?;
    Ok(SharedText::from(text.as_str()))
}

/// Reads a value as `tokens` has it. `text` is a buffer, whose content is lost.
pub(super) fn read_value(input: &mut Reader<'_>, text: &mut String) -> Result<CanonicalJson, DecodeError> {
    if let Some(constant) = input.with(tokens::decode_constant) {
        return Ok(CanonicalJson::from_static(constant));
    }
    text.clear();
    input.with(|rest| tokens::decode(rest, text))?;
    Ok(CanonicalJson::from_canonical(text.as_str()))
}

/// Writes a time in full.
fn write_time(out: &mut Writer, time: i64) {
    let since = time.wrapping_sub(EPOCH);
    write_span(out, (since << 1) ^ (since >> 63));
}

fn read_time(input: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let zigzag = read_span(input)?;
    Ok((((zigzag as u64) >> 1) as i64 ^ -(zigzag & 1)).wrapping_add(EPOCH))
}

/// Writes a number of microseconds below 2^63, in milliseconds if it is a whole number of them. Times are of the years 0
/// to 9999, so that all numbers are far below.
fn write_span(out: &mut Writer, micros: i64) {
    let micros = micros as u64;
    out.varint(if micros.is_multiple_of(1000) { ((micros / 1000) << 1) | 1 } else { micros << 1 });
}

fn read_span(input: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let coded = input.varint()?;
    let micros = if coded & 1 == 1 { (coded >> 1).checked_mul(1000) } else { Some(coded >> 1) };
    micros.map(|micros| micros as i64).ok_or(DecodeError::Unknown { what: "time" })
}
