//! Numbers: small integers and hundredths in one or two bytes, any other as text of two characters a byte.

use super::bytes::take_byte;
use super::codes::{HUNDREDTHS, INTEGER, INTEGER_8, INTEGER_16, INTEGER_END, NUMBER};
use crate::digits;

/// The characters of numbers.
const CHARACTERS: &[u8; 14] = b"0123456789.-+e";
/// The half of a byte that ends a number.
const END: u8 = 0xf;
/// The integers of one byte, and those of two.
const ONE: u32 = (INTEGER_END - INTEGER) as u32 + 1;
const TWO: u32 = ONE + 0x100;

/// Appends a number; returns `None` for text with other characters.
pub(super) fn put(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    match (integer(text), text) {
        (Some(value), _) if value < ONE => out.push(INTEGER + value as u8),
        (Some(value), _) if value < TWO => out.extend_from_slice(&[INTEGER_8, (value - ONE) as u8]),
        (Some(value), _) if value < TWO + 0x1_0000 => {
            let [low, high, ..] = (value - TWO).to_le_bytes();
            out.extend_from_slice(&[INTEGER_16, low, high]);
        }
        (_, [b'0', b'.', tens @ b'1'..=b'9']) => put_hundredths(out, *tens, b'0'),
        (_, [b'0', b'.', tens @ b'0'..=b'9', ones @ b'1'..=b'9']) => put_hundredths(out, *tens, *ones),
        _ => return put_text(out, text),
    }
    Some(())
}

/// Appends `0.` and two digits, of which the second is 0 where it is not written.
pub(super) fn put_hundredths(out: &mut Vec<u8>, tens: u8, ones: u8) {
    out.push(HUNDREDTHS);
    out.push((tens - b'0') * 10 + (ones - b'0'));
}

/// Returns an integer of one to five digits without a zero in front.
fn integer(text: &[u8]) -> Option<u32> {
    if text.len() > 5 || (text.len() > 1 && text[0] == b'0') || text.is_empty() {
        return None;
    }
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let code = |byte: &u8| CHARACTERS.iter().position(|character| character == byte).map(|code| code as u8);
    out.push(NUMBER);
    let mut pairs = text.chunks_exact(2);
    for pair in &mut pairs {
        out.push(code(&pair[0])? << 4 | code(&pair[1])?);
    }
    out.push(pairs.remainder().first().map_or(Some(END), code)? << 4 | END);
    Some(())
}

/// Appends the number whose code was read.
pub(super) fn take<'i>(code: u8, input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (value, rest) = match code {
        INTEGER..=INTEGER_END => (u32::from(code - INTEGER), input),
        INTEGER_8 => {
            let (value, rest) = take_byte(input)?;
            (ONE + u32::from(value), rest)
        }
        INTEGER_16 => {
            let (value, rest) = input.split_first_chunk()?;
            (TWO + u32::from(u16::from_le_bytes(*value)), rest)
        }
        HUNDREDTHS => {
            let (hundredths, rest) = take_byte(input)?;
            if !(1..100).contains(&hundredths) {
                return None;
            }
            out.push_str(digits::fraction(usize::from(hundredths)));
            return Some(rest);
        }
        _ => return take_text(input, out),
    };
    digits::push_number(out, u64::from(value));
    Some(rest)
}

fn take_text<'i>(mut input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    loop {
        let (byte, rest) = take_byte(input)?;
        input = rest;
        for half in [byte >> 4, byte & 0xf] {
            match CHARACTERS.get(usize::from(half)) {
                Some(character) => out.push(char::from(*character)),
                None if half == END => break,
                None => return None,
            }
        }
        if byte & 0xf == END {
            return Some(input);
        }
    }
}
