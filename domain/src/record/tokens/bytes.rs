//! Varints and slices of the coded form.
//!
//! Readers take the input and return what they read with the rest of it, or `None` if the bytes are damaged: both fit
//! into registers, which an error with its reason does not.

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

pub(super) fn take_byte(input: &[u8]) -> Option<(u8, &[u8])> {
    input.split_first().map(|(first, rest)| (*first, rest))
}

pub(super) fn take_varint(input: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in input.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, &input[index + 1..]));
        }
    }
    None
}

pub(super) fn take_signed(input: &[u8]) -> Option<(i64, &[u8])> {
    let (value, rest) = take_varint(input)?;
    Some(((value >> 1) as i64 ^ -((value & 1) as i64), rest))
}

/// Reads a length and that many bytes.
pub(super) fn take_counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_varint(input)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// Appends bytes that must be UTF-8.
pub(super) fn push_utf8(out: &mut String, bytes: &[u8]) -> Option<()> {
    out.push_str(std::str::from_utf8(bytes).ok()?);
    Some(())
}
