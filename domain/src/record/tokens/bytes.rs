//! Varints and slices of the coded form.
//!
//! Readers take the input and return what they read with the rest of it, or `None` if the bytes are damaged: both fit
//! into registers, which an error with its reason does not.

use memchr::memchr2;

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
    let (mut value, mut rest) = (0, input);
    for shift in (0..64).step_by(7) {
        let (byte, behind) = take_byte(rest)?;
        rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, rest));
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

/// Returns the position of the first quote or backslash. Most strings end within a few words, which takes less than the
/// call of a search that is faster on longer ones.
pub(super) fn find_quote(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest marked byte is a zero byte; marks above it may be false.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut words = text.chunks_exact(8);
    for (index, word) in words.by_ref().take(4).enumerate() {
        let word = u64::from_le_bytes(*word.first_chunk()?);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = text.len().min(32) / 8 * 8;
    let rest = &text[passed..];
    let at = match rest.len() {
        0..8 => rest.iter().position(|byte| matches!(byte, b'"' | b'\\')),
        _ => memchr2(b'"', b'\\', rest),
    };
    at.map(|at| passed + at)
}
