//! From codes back to canonical JSON text.

use super::bytes::{push_utf8, take_byte, take_counted};
use super::codes::{
    ARRAY, ARRAY_END, DATE, FALSE, HUNDREDTHS, INTEGER, INTEGER_8, INTEGER_16, INTEGER_END, LONG_ARRAY, LONG_OBJECT,
    LONG_PHRASE_END, MAX_DEPTH, NULL, NUMBER, OBJECT, OBJECT_END, RAW, SHAPE, TRUE,
};
use super::shapes::SHAPES;
use super::{calendar, number, phrases, text};
use crate::digits;

/// Appends the text of the next value, and returns the rest of the input.
pub(super) fn take<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    value(input, out, MAX_DEPTH)
}

/// Returns the text of the next value, if it is a constant, and the rest of the input.
pub(super) fn take_constant(input: &[u8]) -> Option<(&'static str, &[u8])> {
    let (code, rest) = take_byte(input)?;
    let text = match code {
        0..=LONG_PHRASE_END => return phrases::take(code, rest),
        INTEGER..=INTEGER_END => digits::small(i64::from(code - INTEGER))?,
        NULL => "null",
        FALSE => "false",
        TRUE => "true",
        _ => return None,
    };
    Some((text, rest))
}

/// Most values are phrases, which need no call.
#[inline(always)]
fn value<'i>(input: &'i [u8], out: &mut String, depth: usize) -> Option<&'i [u8]> {
    let (code, rest) = take_byte(input)?;
    if code <= LONG_PHRASE_END {
        let (phrase, rest) = phrases::take(code, rest)?;
        out.push_str(phrase);
        return Some(rest);
    }
    other(code, rest, out, depth)
}

#[inline(never)]
fn other<'i>(code: u8, input: &'i [u8], out: &mut String, depth: usize) -> Option<&'i [u8]> {
    match code {
        INTEGER..=INTEGER_END | INTEGER_8 | INTEGER_16 | NUMBER | HUNDREDTHS => number::take(code, input, out),
        NULL => literal(input, out, "null"),
        FALSE => literal(input, out, "false"),
        TRUE => literal(input, out, "true"),
        RAW => {
            let (text, rest) = take_counted(input)?;
            push_utf8(out, text)?;
            Some(rest)
        }
        ARRAY..=ARRAY_END => array(input, out, depth, u32::from(code - ARRAY)),
        LONG_ARRAY => {
            let (count, rest) = input.split_first_chunk()?;
            array(rest, out, depth, u32::from_le_bytes(*count))
        }
        OBJECT..=OBJECT_END => object(input, out, depth, u32::from(code - OBJECT)),
        LONG_OBJECT => {
            let (count, rest) = input.split_first_chunk()?;
            object(rest, out, depth, u32::from_le_bytes(*count))
        }
        SHAPE.. => shaped(input, out, depth, code - SHAPE),
        DATE => calendar::take_quoted(input, out),
        _ => string(code, input, out),
    }
}

fn literal<'i>(input: &'i [u8], out: &mut String, text: &str) -> Option<&'i [u8]> {
    out.push_str(text);
    Some(input)
}

fn string<'i>(code: u8, input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    out.push('"');
    let rest = text::take_content(code, input, out)?;
    out.push('"');
    Some(rest)
}

fn array<'i>(mut input: &'i [u8], out: &mut String, depth: usize, count: u32) -> Option<&'i [u8]> {
    let depth = depth.checked_sub(1)?;
    out.push('[');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        input = value(input, out, depth)?;
    }
    out.push(']');
    Some(input)
}

fn object<'i>(mut input: &'i [u8], out: &mut String, depth: usize, count: u32) -> Option<&'i [u8]> {
    let depth = depth.checked_sub(1)?;
    out.push('{');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        let (code, rest) = take_byte(input)?;
        input = string(code, rest, out)?;
        out.push(':');
        input = value(input, out, depth)?;
    }
    out.push('}');
    Some(input)
}

fn shaped<'i>(mut input: &'i [u8], out: &mut String, depth: usize, number: u8) -> Option<&'i [u8]> {
    let depth = depth.checked_sub(1)?;
    for piece in SHAPES.get(usize::from(number))?.pieces {
        out.push_str(piece);
        input = value(input, out, depth)?;
    }
    out.push('}');
    Some(input)
}
