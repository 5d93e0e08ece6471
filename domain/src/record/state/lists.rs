//! Values of sections that are made of registers: schemes with their statuses, deadlines with their days, the trace.
//!
//! Each `write_…` function appends a form from which the `read_…` function of the same name makes exactly the value, and
//! returns whether it could. Where it could not, what it appended is cut off and the value is written as it is.

use super::super::codec::{DecodeError, Reader, Writer};
use super::super::tokens;
use super::registers::Registers;
use crate::canonical::CanonicalJson;
use crate::day::Day;
use crate::item_text::{push_with_days, push_with_status};
use crate::scan;
use crate::source::Source;
use crate::source_trace::{self, TraceText, VERBS};
use crate::table::Leaf;

/// Where the bits of an entry of a trace begin that say its verb, and the days after the newest register.
const VERB_AT: u8 = 4;
const LATER_AT: u8 = 6;
/// In place of the days after the newest register: the day follows.
const OTHER_DAY: u8 = 2;

/// Schemes of the batch with other statuses.
pub(super) fn write_statuses(out: &mut Writer, leaf: Leaf, value: &str, registers: &impl Registers) -> bool {
    let Some(batch) = registers.owned(leaf) else { return false };
    let Some(mut rest) = content(value) else { return false };
    let mut changed = Vec::new();
    let mut text = String::new();
    for (place, item) in (0_u64..).zip(scan::elements(batch.as_str())) {
        let begin = if place == 0 { Some(rest) } else { rest.strip_prefix(',') };
        let Some(begin) = begin else { return false };
        // Most schemes have the status of the batch.
        let behind = begin.strip_prefix(item).or_else(|| {
            let (own, status) = (status(item)?, status(begin)?);
            text.clear();
            push_with_status(&mut text, item, own, status);
            changed.push((place, status));
            begin.strip_prefix(text.as_str())
        });
        let Some(behind) = behind else { return false };
        rest = behind;
    }
    if !rest.is_empty() {
        return false;
    }
    out.varint(changed.len() as u64);
    for (place, status) in changed {
        out.varint(place);
        tokens::encode(&mut out.0, status);
    }
    true
}

/// Returns what stands between the brackets of an array.
fn content(array: &str) -> Option<&str> {
    array.strip_prefix('[')?.strip_suffix(']')
}

/// Returns the status of the scheme that `scheme` is or begins with.
fn status(scheme: &str) -> Option<&str> {
    scan::member(scheme, "application_status")
}

pub(super) fn read_statuses(
    input: &mut Reader<'_>,
    leaf: Leaf,
    registers: &impl Registers,
    out: &mut String,
) -> Result<(), DecodeError> {
    let batch = registers.owned(leaf).ok_or(DecodeError::Unknown { what: "batch of schemes" })?;
    let mut changed = Vec::new();
    let mut text = String::new();
    for _ in 0..input.count()? {
        let place = input.varint()?;
        let start = text.len();
        input.with(|rest| tokens::decode(rest, &mut text))?;
        changed.push((place, start..text.len()));
    }
    let mut changed = changed.into_iter().peekable();
    out.push('[');
    for (place, item) in (0_u64..).zip(scan::elements(batch.as_str())) {
        if place > 0 {
            out.push(',');
        }
        match changed.next_if(|(changed, _)| *changed == place) {
            None => out.push_str(item),
            Some((_, status_at)) => push_with_status(out, item, status(item).unwrap_or_default(), &text[status_at]),
        }
    }
    out.push(']');
    if changed.next().is_some() { Err(DecodeError::Unknown { what: "scheme of a batch" }) } else { Ok(()) }
}

/// Deadlines of the registers, each with its days.
pub(super) fn write_deadlines(out: &mut Writer, value: &str, registers: &impl Registers) -> bool {
    let Some(mut rest) = content(value) else { return false };
    let details: Vec<_> = registers.deadline_details().collect();
    let mut items = Vec::new();
    let mut text = String::new();
    while !rest.is_empty() {
        let begin = if items.is_empty() { Some(rest) } else { rest.strip_prefix(',') };
        let Some(begin) = begin else { return false };
        let id = scan::text_member(begin, "deadline_id");
        let place = id.and_then(|id| details.binary_search_by(|(other, _)| (*other).cmp(id)).ok());
        let days = scan::member(begin, "days_remaining").and_then(|days| days.parse().ok());
        let (Some(place), Some(days)) = (place, days) else { return false };
        text.clear();
        push_with_days(&mut text, details[place].1.as_str(), days);
        let Some(behind) = begin.strip_prefix(text.as_str()) else { return false };
        rest = behind;
        items.push((place, days));
    }
    out.varint(items.len() as u64);
    for (place, days) in items {
        out.varint(place as u64);
        out.signed(i64::from(days));
    }
    true
}

pub(super) fn read_deadlines(
    input: &mut Reader<'_>,
    registers: &impl Registers,
    out: &mut String,
) -> Result<(), DecodeError> {
    let details: Vec<_> = registers.deadline_details().collect();
    out.push('[');
    for item in 0..input.count()? {
        let (place, days) = (input.varint()? as usize, input.signed()?);
        let (_, text) = details.get(place).ok_or(DecodeError::Unknown { what: "deadline" })?;
        let days = i32::try_from(days).map_err(|_| DecodeError::Unknown { what: "number of days" })?;
        if item > 0 {
            out.push(',');
        }
        push_with_days(out, text.as_str(), days);
    }
    out.push(']');
    Ok(())
}

/// A verb and a day for each source.
pub(super) fn write_trace(out: &mut Writer, value: &str, registers: &impl Registers) -> bool {
    let start = out.0.len();
    // There are few sources, so that the number of entries takes one byte.
    out.u8(0);
    for entry in source_trace::entries(value) {
        let Some((source, verb, day)) = entry else { return false };
        let head = source as u8 | (verb as u8) << VERB_AT;
        match newest_day(registers, source).and_then(|newest| day.0.checked_sub(newest)) {
            Some(later @ 0..=1) => out.u8(head | (later as u8) << LATER_AT),
            _ => {
                out.u8(head | OTHER_DAY << LATER_AT);
                out.signed(i64::from(day.0));
            }
        }
        out.0[start] += 1;
    }
    true
}

pub(super) fn read_trace(input: &mut Reader<'_>, registers: &impl Registers) -> Result<CanonicalJson, DecodeError> {
    const DAMAGED: DecodeError = DecodeError::Unknown { what: "entry of a trace" };
    let mut text = TraceText::new();
    for _ in 0..input.count()? {
        let byte = input.u8()?;
        let source = Source::from_number(byte & 15).ok_or(DAMAGED)?;
        let verb = usize::from(byte >> VERB_AT & 3);
        if verb >= VERBS.len() {
            return Err(DAMAGED);
        }
        let day = match byte >> LATER_AT {
            OTHER_DAY => i32::try_from(input.signed()?).map_err(|_| DAMAGED)?,
            later => newest_day(registers, source).ok_or(DAMAGED)?.saturating_add(i32::from(later)),
        };
        text.push_day(source, verb, Day(day));
    }
    Ok(text.finish())
}

/// Returns the day in UTC of a source's newest register, as days since 1970-01-01.
fn newest_day(registers: &impl Registers, source: Source) -> Option<i32> {
    Some(Day::in_utc(registers.newest(source)?).0)
}
