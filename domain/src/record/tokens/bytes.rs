//! Varints and slices of the coded form.

use crate::record::codec::DecodeError;

const TRUNCATED: DecodeError = DecodeError::Truncated { doing: "a value" };

/// Appends a number in LEB128.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number in zigzag form.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn take<'i>(input: &mut &'i [u8], length: usize) -> Result<&'i [u8], DecodeError> {
    let (taken, rest) = input.split_at_checked(length).ok_or(TRUNCATED)?;
    *input = rest;
    Ok(taken)
}

pub(super) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or(TRUNCATED)?;
    *input = rest;
    Ok(*taken)
}

pub(super) fn take_byte(input: &mut &[u8]) -> Result<u8, DecodeError> {
    let (first, rest) = input.split_first().ok_or(TRUNCATED)?;
    *input = rest;
    Ok(*first)
}

pub(super) fn take_varint(input: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(input)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Unknown { what: "number of more than 64 bits" })
}

pub(super) fn take_signed(input: &mut &[u8]) -> Result<i64, DecodeError> {
    let value = take_varint(input)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Reads a length, which cannot be more than what is left.
pub(super) fn take_length(input: &mut &[u8]) -> Result<usize, DecodeError> {
    usize::try_from(take_varint(input)?).map_err(|_| TRUNCATED)
}
