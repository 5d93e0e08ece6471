//! From codes back to canonical JSON text.

use super::bytes::{take, take_array, take_byte, take_length};
use super::codes::{
    ARRAY, ARRAY_END, FALSE, HUNDREDTHS, INTEGER, INTEGER_8, INTEGER_16, INTEGER_END, LONG_ARRAY, LONG_OBJECT,
    LONG_PHRASE_END, MAX_DEPTH, NULL, NUMBER, OBJECT, OBJECT_END, RAW, SHAPE, TRUE,
};
use super::shapes::SHAPES;
use super::{number, phrases, text};
use crate::record::codec::DecodeError;

const TOO_DEEP: DecodeError = DecodeError::Unknown { what: "nesting" };
const UNKNOWN: DecodeError = DecodeError::Unknown { what: "value" };

/// Appends the text of the next value.
pub(super) fn take_value(input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    value(input, out, MAX_DEPTH)
}

fn value(input: &mut &[u8], out: &mut String, depth: usize) -> Result<(), DecodeError> {
    match take_byte(input)? {
        code @ 0..=LONG_PHRASE_END => out.push_str(phrases::take(code, input)?),
        code @ (INTEGER..=INTEGER_END | INTEGER_8 | INTEGER_16 | NUMBER | HUNDREDTHS) => {
            number::take(code, input, out)?;
        }
        NULL => out.push_str("null"),
        FALSE => out.push_str("false"),
        TRUE => out.push_str("true"),
        RAW => {
            let length = take_length(input)?;
            text::push_utf8(out, take(input, length)?)?;
        }
        code @ ARRAY..=ARRAY_END => array(input, out, depth, u32::from(code - ARRAY))?,
        LONG_ARRAY => {
            let count = u32::from_le_bytes(take_array(input)?);
            array(input, out, depth, count)?;
        }
        code @ OBJECT..=OBJECT_END => object(input, out, depth, u32::from(code - OBJECT))?,
        LONG_OBJECT => {
            let count = u32::from_le_bytes(take_array(input)?);
            object(input, out, depth, count)?;
        }
        code @ SHAPE.. => shaped(input, out, depth, code - SHAPE)?,
        code => string(code, input, out)?,
    }
    Ok(())
}

fn string(code: u8, input: &mut &[u8], out: &mut String) -> Result<(), DecodeError> {
    out.push('"');
    text::take_content(code, input, out)?;
    out.push('"');
    Ok(())
}

fn array(input: &mut &[u8], out: &mut String, depth: usize, count: u32) -> Result<(), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    out.push('[');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        value(input, out, depth)?;
    }
    out.push(']');
    Ok(())
}

fn object(input: &mut &[u8], out: &mut String, depth: usize, count: u32) -> Result<(), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    out.push('{');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        let code = take_byte(input)?;
        string(code, input, out)?;
        out.push(':');
        value(input, out, depth)?;
    }
    out.push('}');
    Ok(())
}

fn shaped(input: &mut &[u8], out: &mut String, depth: usize, number: u8) -> Result<(), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    let shape = SHAPES.get(usize::from(number)).ok_or(UNKNOWN)?;
    for piece in shape.pieces {
        out.push_str(piece);
        value(input, out, depth)?;
    }
    out.push('}');
    Ok(())
}

/// Passes over the next value.
pub(super) fn skip_value(input: &mut &[u8]) -> Result<(), DecodeError> {
    let mut left = 1_u64;
    while left > 0 {
        left -= 1;
        match take_byte(input)? {
            0..0x80 | INTEGER..=INTEGER_END | NULL | FALSE | TRUE => {}
            INTEGER_8 | HUNDREDTHS => drop(take_byte(input)?),
            INTEGER_16 => drop(take(input, 2)?),
            NUMBER => number::skip_text(input)?,
            RAW => {
                let length = take_length(input)?;
                take(input, length)?;
            }
            code @ ARRAY..=ARRAY_END => left += u64::from(code - ARRAY),
            LONG_ARRAY => left += u64::from(u32::from_le_bytes(take_array(input)?)),
            code @ OBJECT..=OBJECT_END => left += u64::from(code - OBJECT) * 2,
            LONG_OBJECT => left += u64::from(u32::from_le_bytes(take_array(input)?)) * 2,
            code @ SHAPE.. => left += SHAPES.get(usize::from(code - SHAPE)).ok_or(UNKNOWN)?.pieces.len() as u64,
            code => text::skip_content(code, input)?,
        }
    }
    Ok(())
}
