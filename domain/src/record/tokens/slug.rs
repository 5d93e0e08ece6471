//! Texts of lower-case letters, digits and `_-./`, three characters in two bytes; and UUIDs.

use super::bytes::{put_varint, take_varint};
use super::codes::UUID;

/// The characters: as many as fit three times into two bytes (40³ ≤ 2¹⁶).
const CHARACTERS: &[u8; 40] = b"abcdefghijklmnopqrstuvwxyz0123456789_-./";

/// By byte: its position among [`CHARACTERS`], or [`NONE`].
static POSITIONS: [u8; 256] = positions();
const NONE: u8 = 0xff;

const fn positions() -> [u8; 256] {
    let mut positions = [NONE; 256];
    let mut at = 0;
    while at < CHARACTERS.len() {
        positions[CHARACTERS[at] as usize] = at as u8;
        at += 1;
    }
    positions
}

/// Appends a code and the text; appends nothing and returns `false` if the text is empty or has other characters.
pub(super) fn put(out: &mut Vec<u8>, code: u8, text: &[u8]) -> bool {
    let start = out.len();
    out.push(code);
    put_varint(out, text.len() as u64);
    // No position has the upper two bits, so one check at the end suffices.
    let mut seen = 0;
    let mut position = |byte: u8| {
        let position = POSITIONS[usize::from(byte)];
        seen |= position;
        u16::from(position & 0x3f)
    };
    let mut triples = text.chunks_exact(3);
    for triple in &mut triples {
        let [a, b, c] = [position(triple[0]), position(triple[1]), position(triple[2])];
        out.extend_from_slice(&a.wrapping_mul(1_600).wrapping_add(b * 40 + c).to_le_bytes());
    }
    match *triples.remainder() {
        [a, b] => out.extend_from_slice(&(position(a) * 40 + position(b)).to_le_bytes()),
        [a] => out.push(position(a) as u8),
        _ => {}
    }
    let fits = seen < 0x80 && !text.is_empty();
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Reads a length, and the bytes of that many characters.
pub(super) fn take_packed(input: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (characters, rest) = take_varint(input)?;
    let characters = usize::try_from(characters).ok()?;
    let (packed, rest) = rest.split_at_checked(characters / 3 * 2 + characters % 3)?;
    Some((characters, packed, rest))
}

/// Reads a length and the text.
pub(super) fn take<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (characters, packed, rest) = take_packed(input)?;
    let (triples, last) = packed.split_at_checked(characters / 3 * 2)?;
    for pair in triples.chunks_exact(2) {
        let value = u16::from_le_bytes([pair[0], pair[1]]);
        push(out, &[value / 1_600, value / 40 % 40, value % 40])?;
    }
    match *last {
        [low, high] => {
            let value = u16::from_le_bytes([low, high]);
            push(out, &[value / 40, value % 40])?;
        }
        [one] => push(out, &[u16::from(one)])?,
        _ => {}
    }
    Some(rest)
}

fn push(out: &mut String, positions: &[u16]) -> Option<()> {
    for position in positions {
        out.push(char::from(*CHARACTERS.get(usize::from(*position))?));
    }
    Some(())
}

/// Appends a UUID; returns `None` for any other text.
pub(super) fn put_uuid(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|dash| text[*dash] != b'-') {
        return None;
    }
    let mut digits =
        text.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, byte)| half(*byte));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    out.push(UUID);
    out.extend_from_slice(&bytes);
    Some(())
}

fn half(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Reads a UUID and appends it.
pub(super) fn take_uuid<'i>(input: &'i [u8], out: &mut String) -> Option<&'i [u8]> {
    let (bytes, rest) = input.split_first_chunk::<16>()?;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for half in [byte >> 4, byte & 0xf] {
            out.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
    Some(rest)
}
